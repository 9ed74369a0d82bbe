"""UCUM units → base units, so that quantities in different units of one kind compare (R4 search.html#quantity).

The library that knows the units (`ucumvert` on `pint`) is heavy (a second, 30 MB), so it is loaded when a unit is first met that
is not among the common ones of `units.json`, which it made (`tools/compile_units.py`; a test holds them to it), and asked once
for each code. What has no sure meaning in base units is compared in its own unit only: arbitrary units (`[IU]`), which
UCUM lets convert to nothing else; logarithms (`[pH]`, `dB`); annotations alone (`{score}`); codes that are not UCUM.
"""

import json
import math
import re
import threading
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

UCUM = "http://unitsofmeasure.org"
"""The system of UCUM codes."""

_LONGEST = 64
_DIGITS = 12
"""Significant digits of a converted value: so many survive conversion there and back."""
_ARBITRARY = frozenset(
    {
        "[iU]", "[IU]", "[arb'U]", "[USP'U]", "[GPL'U]", "[MPL'U]", "[APL'U]", "[beth'U]", "[anti'Xa'U]", "[todd'U]",
        "[dye'U]", "[smgy'U]", "[bdsk'U]", "[ka'U]", "[knk'U]", "[mclg'U]", "[tb'U]", "[CCID_50]", "[TCID_50]",
        "[EID_50]", "[PFU]", "[FFU]", "[CFU]", "[IR]", "[BAU]", "[AU]", "[Amb'a'1'U]", "[PNU]", "[Lf]", "[D'ag'U]",
        "[FEU]", "[ELU]", "[EU]", "[hp_X]", "[hp_C]", "[hp_M]", "[hp_Q]", "[kp_X]", "[kp_C]", "[kp_M]", "[kp_Q]",
        "[hp'_X]", "[hp'_C]", "[hp'_M]", "[hp'_Q]", "[p'diop]", "[slope]", "[pH]", "[SPL]",
    }
)  # fmt: skip
_BRACKETED = re.compile(r"\[[^\]]*\]")
_ANNOTATION = re.compile(r"\{[^}]*\}")
_LOGARITHM = re.compile(r"(?<![A-Za-z])[a-zA-Z]{0,2}(?:B|Np)(?![A-Za-z])")
_LONG_NUMBER = re.compile(r"\d{4}")
_NAMED = re.compile(r"unitsofmeasure\.org\|([^,$]*)")
_loading = threading.Lock()


class Conversion(NamedTuple):
    """From one unit to base units: `value * factor + offset`; `unit` names the base units and their powers."""

    factor: float
    offset: float
    unit: str

    def base(self, value: float) -> float:
        """Convert a value; it may come out infinite."""
        found = value * self.factor + self.offset
        return float(f"{found:.{_DIGITS - 1}e}")


@lru_cache(maxsize=4096)
def conversion(code: str) -> Conversion | None:
    """Return how a UCUM code converts, None where it is compared as it is. Never raises; safe to share."""
    if (common := _common().get(code)) is not None:
        return common
    return looked_up(code)


def at_hand(text: str) -> bool:
    """Tell whether a value of a search can be read without loading the library: it names common units, or it is loaded."""
    return _registry.cache_info().currsize > 0 or all(code in _common() for code in _NAMED.findall(text))


def looked_up(code: str) -> Conversion | None:
    """Return how the library converts a code; None as `conversion`. The first question loads the library."""
    if not code or len(code) > _LONGEST or _LONG_NUMBER.search(code) or not code.isascii():
        return None
    if not _ARBITRARY.isdisjoint(_BRACKETED.findall(code)):
        return None
    bare = _BRACKETED.sub("", _ANNOTATION.sub("", code))
    if _LOGARITHM.search(bare) or not _ANNOTATION.sub("", code):
        return None
    with _loading:
        registry = _registry()
    try:
        with _loading:
            return _converted(registry, code)
    except Exception:  # noqa: BLE001  # whatever the library makes of a code, the answer is that it does not convert
        return None


def _converted(registry: Any, code: str) -> Conversion | None:
    unit = registry.from_ucum(code)
    zero, one = (registry.Quantity(at * unit.magnitude, unit.units).to_base_units() for at in (0.0, 1.0))
    offset, factor = float(zero.magnitude), float(one.magnitude) - float(zero.magnitude)
    if not (math.isfinite(factor) and math.isfinite(offset) and factor > 0):
        return None
    powers = " ".join(f"{name}^{power:g}" for name, power in sorted(one.unit_items()))
    return Conversion(float(f"{factor:.{_DIGITS + 2}e}"), offset, powers or "1")


@cache
def _common() -> dict[str, Conversion]:
    raw = json.loads(files("fhir_server.search").joinpath("units.json").read_bytes())
    return {code: Conversion(*parts) for code, parts in raw.items()}


@cache
def _registry() -> Any:
    # Half a second of import, for those who use units only.
    from ucumvert import PintUcumRegistry  # type: ignore[import-untyped]  # noqa: PLC0415  # see above

    return PintUcumRegistry()
