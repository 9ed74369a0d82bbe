"""Compile `fhir_server/search/units.json`: how the units that health and welfare records usually hold convert to base units.

    python -m tools.compile_units

The codes are built from the parts of UCUM (prefixes, units, what a unit is counted per); the factors are those of the library that
`fhir_server.search.units` asks for every other code. A code that converts to nothing is left out.
"""

import json
from itertools import product
from pathlib import Path

from fhir_server.search.units import looked_up

TARGET = Path(__file__).resolve().parents[1] / "fhir_server" / "search" / "units.json"
TIMES = ("a", "mo", "wk", "d", "h", "min", "s", "ms", "us")
LENGTHS = ("km", "m", "dm", "cm", "mm", "um", "nm")
MASSES = ("t", "kg", "g", "mg", "ug", "ng", "pg", "fg")
AMOUNTS = ("mol", "mmol", "umol", "nmol", "pmol", "fmol", "eq", "meq", "ueq", "osm", "mosm")
VOLUMES = ("L", "dL", "cL", "mL", "uL", "nL", "fL", "l", "dl", "ml", "ul")
CUSTOMARY = (
    "[lb_av]", "[oz_av]", "[in_i]", "[ft_i]", "[yd_i]", "[mi_i]", "[mi_us]", "[degF]", "[foz_us]", "[cup_us]", "[pt_us]", "[qt_us]",
    "[gal_us]", "[tsp_us]", "[tbs_us]", "[stone_av]",
)  # fmt: skip
OTHER = (
    "%", "1", "[ppth]", "[ppm]", "[ppb]", "10*3", "10*6", "10*9", "10*12", "Cel", "K", "deg", "rad", "mm[Hg]", "cm[H2O]", "Pa", "hPa", "kPa",
    "bar", "mbar", "kcal", "cal", "kJ", "J", "MJ", "W", "kW", "kW.h", "V", "mV", "A", "mA", "Hz", "kHz", "MHz", "N", "Bq", "kBq", "MBq", "Gy", "mGy",
    "Sv", "mSv", "uSv", "lm", "lx", "cd", "U", "mU", "kU", "kat", "ukat", "nkat", "Ohm", "S", "T", "C", "F", "H", "Wb", "[diop]", "m2", "cm2", "mm2",
    "m3", "cm3", "mm3", "har", "ar", "m/s", "km/h", "cm/s", "mm/h", "m/s2", "kg/m2", "g/m2", "kg/m3", "mg/m2", "L/min/m2", "mL/min/{1.73_m2}",
    "mL/kg", "mL/kg/h", "mL/kg/min", "mg/kg/d", "mg/kg/h", "ug/kg/min", "mm[Hg].s", "mosm/kg", "dyn.s/cm5", "10*9/L", "10*12/L", "10*3/uL",
    "10*6/uL", "10*3/mL", "10*6/mL",
)  # fmt: skip


def codes() -> list[str]:
    """Return the codes in a settled order, each once."""
    plain = (*TIMES, *LENGTHS, *MASSES, *AMOUNTS, *VOLUMES, *CUSTOMARY, *OTHER)
    content = [
        f"{of}/{per}" for of, per in product((*MASSES, *AMOUNTS, "U", "mU", "kU"), ("L", "dL", "mL", "uL", "kg", "g"))
    ]
    ratios = [f"{of}/{per}" for of, per in product(("mg", "ug", "g", "mmol", "umol", "nmol"), ("mol", "mmol", "mg"))]
    rates = [
        f"{of}/{per}"
        for of, per in product(
            ("g", "mg", "ug", "mmol", "umol", "L", "dL", "mL", "m", "cm", "kg"), ("d", "h", "min", "s", "wk")
        )
    ]
    counts = [f"/{per}" for per in (*TIMES[:7], "L", "dL", "mL", "uL", "kg", "m", "m2", "mm3")]
    return list(dict.fromkeys([*plain, *content, *ratios, *rates, *counts]))


def main() -> None:
    """Write the file."""
    found = {code: conversion for code in codes() if (conversion := looked_up(code)) is not None}
    lines = [
        f"{json.dumps(code)}:{json.dumps(list(conversion), separators=(',', ':'))}"
        for code, conversion in found.items()
    ]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")
    print(f"{len(found)} units in {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
