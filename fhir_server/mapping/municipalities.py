"""Municipalities as files name them: Belgian NIS codes, Dutch GM codes, postal codes of both countries."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fhir_server.mapping.places import Place, RecordRefused, Remark, read_path

Value = Callable[[Place], Any]
_NIS: Final = re.compile(r"\d{5}", re.ASCII)
_GM: Final = re.compile(r"GM\d{4}", re.ASCII)
_POSTAL: Final = re.compile(r"(?:(BE|NL)-?)?([1-9]\d{3}) ?([A-Z]{2})?", re.ASCII)


def compile_municipality(spec: Mapping[str, Any]) -> Value:
    """Compile `municipality`: the Identifier of a municipality. A record whose code is none is refused."""
    path, systems = spec["municipality"], {_NIS: spec["nis"], _GM: spec["gm"]}
    read = read_path(path)

    def value(place: Place) -> Any:
        found = read(place)
        if found is None:
            return None
        text = str(found).strip().upper()
        system = next((one for form, one in systems.items() if form.fullmatch(text)), "")
        if not system:
            said = (
                f"{str(found)[:40]!r} is no municipality code: five digits (NIS, Belgium) or GM and four digits "
                "(Netherlands)."
            )
            place.run.remark(Remark("error", "unreadable-value", place.called(path), said))
            raise RecordRefused
        return {"system": system, "value": text}

    return value


def compile_country(spec: Mapping[str, Any]) -> Value:
    """Compile `country`: what the record says, else the country whose municipality codes look like `code`."""
    read, code = read_path(spec["country"]), read_path(spec["code"])
    return lambda place: _country(read(place), code(place))


def compile_postal(spec: Mapping[str, Any]) -> Value:
    """Compile `postal`: `BE-1800` or `NL-1811` of a postal code, its letters aside; of another country as it is written."""
    read, country, code = read_path(spec["postal"]), read_path(spec["country"]), read_path(spec["code"])

    def value(place: Place) -> Any:
        found = read(place)
        if found is None:
            return None
        said = country(place)
        home, text = _country(said, code(place)), " ".join(str(found).upper().split())
        if home not in ("BE", "NL"):
            return f"{home}-{text}"
        match = _POSTAL.fullmatch(text)
        if match is None or (match[3] and said and home == "BE"):
            wanted = "1800 in Belgium, 1811 or 1811 AB in the Netherlands"
            said = f"{str(found)[:40]!r} is no postal code of {home}: as {wanted}."
            place.run.remark(Remark("warning", "unreadable-value", place.called(spec["postal"]), said))
            return None
        return f"{match[1] or ('NL' if match[3] else home)}-{match[2]}"

    return value


def _country(said: Any, code: Any) -> str:
    if said is not None:
        return str(said).strip().upper()
    return "NL" if _GM.fullmatch(str(code or "").strip().upper()) else "BE"
