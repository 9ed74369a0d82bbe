"""How a setting is declared: its default, its rule and its explanation stand in one place."""

from dataclasses import field
from typing import Any


def setting(default: str | float, explanation: str, *, secret: bool = False, **rule: Any) -> Any:
    """Declare a field; `rule` holds JSON Schema keywords beyond the type."""
    return field(default=default, metadata={"help": explanation, "rule": rule, "secret": secret})
