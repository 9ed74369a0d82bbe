"""Consents that name who may receive."""

from typing import Any

from tests.unit.workflow.region import ref

RECIPIENT = {"coding": [{"code": "PRCP"}]}


def to(*targets: str) -> list[dict[str, Any]]:
    return [{"role": RECIPIENT, "reference": ref(target)} for target in targets]
