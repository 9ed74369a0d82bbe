"""Languages as files name them: an object with code and name, or just one of these."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fhir_server.mapping.places import Place, Remark, read_path

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*", re.ASCII)
"""A language tag (BCP 47), as far as its form goes."""


def compile_language(spec: Mapping[str, Any]) -> Callable[[Place], Any]:
    """Compile `language`: the CodeableConcept of a language. What is no code is kept as text, and told."""
    path = spec["language"]
    read = read_path(path)

    def value(place: Place) -> Any:
        found = read(place)
        said = found if isinstance(found, dict) else {"code": found}
        code, name = (" ".join(str(said.get(part) or "").split()) for part in ("code", "name"))
        if not code and not name:
            return None
        made: dict[str, Any] = {}
        if _TAG.fullmatch(code):
            made["coding"] = [{"system": "urn:ietf:bcp:47", "code": code}]
        else:
            text = f"{(code or name)[:60]!r} is no language code (as nl, fr, ar): it is kept as text, and no search by language finds it."
            place.run.remark(Remark("warning", "unknown-code", place.called(path), text))
            name = name or code
        return {**made, "text": name} if name else made

    return value
