"""Jinja2 as the pages use it: everything that is not markup of a template is escaped, what is missing is an error."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fhir_server.http.pages.texts import LANGUAGES, NAMES

_FOLDER: Final = Path(__file__).parent


@cache
def environment() -> Environment:
    """Return the environment of the templates."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["languages"] = tuple((language, NAMES[language]) for language in LANGUAGES)
    return made


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a page as HTML."""
    return environment().get_template(template).render(values)
