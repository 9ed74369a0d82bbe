"""Units convert where UCUM says what they are, and are left alone where it does not."""

import math
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.search import units
from fhir_server.search.units import conversion


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((5.4, "mg"), (0.0054, "g")),
        ((37.5, "Cel"), (310.65, "K")),
        ((99.5, "[degF]"), (37.5, "Cel")),
        ((1, "h"), (3600, "s")),
        ((5, "10*3/uL"), (5, "10*9/L")),
        ((98, "%"), (0.98, "1")),
        ((1, "[lb_av]"), (453.59237, "g")),
        ((72, "{beats}/min"), (1.2, "/s")),
    ],
)
def test_the_same_amount_is_the_same_in_base_units(one: tuple[float, str], other: tuple[float, str]) -> None:
    first, second = conversion(one[1]), conversion(other[1])
    assert first is not None
    assert second is not None
    assert first.unit == second.unit
    assert first.base(one[0]) == second.base(other[0])


@pytest.mark.parametrize("pair", [("mg", "mL"), ("Bq", "/m"), ("K", "J"), ("mmol/L", "mg/dL")])
def test_other_kinds_have_other_base_units(pair: tuple[str, str]) -> None:
    one, other = map(conversion, pair)
    assert one is not None
    assert other is not None
    assert one.unit != other.unit


@pytest.mark.parametrize(
    "code",
    ["", "[IU]/L", "k[IU]/mL", "[pH]", "dB", "B[SPL]", "Np", "{score}", "Cel/d", "foo", "m10000", "x" * 65, "µg"],
)
def test_what_has_no_sure_meaning_does_not_convert(code: str) -> None:
    assert conversion(code) is None


@settings(deadline=None, max_examples=150)
@given(st.text("mgkLsulCel[]{}/.*^()+-0123456789%K ", max_size=64))
def test_any_text_is_answered_soon(code: str) -> None:
    conversion("g/cm")  # not among the common ones: the library is there
    began = time.thread_time()
    found = conversion(code)
    assert time.thread_time() - began < 1
    assert found is None or (found.factor > 0 and math.isfinite(found.base(1.0)))


def test_a_common_unit_is_what_the_library_says() -> None:
    common = units._common()
    assert len(common) > 300
    assert {code: units.looked_up(code) for code in common} == common


def test_a_common_unit_does_not_wait_for_the_library() -> None:
    ask = "from fhir_server.search.units import conversion as of; import sys; print(of('mmol/L') is not None, 'pint' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["True", "False"]
