"""Seasons hold from their first to their last day, every year, and say when the next begins."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.workflow.seasons import Season, next_season, read_season

DATES = st.dates(date(1999, 1, 1), date(2060, 12, 31))
DAYS = st.dates(date(2024, 1, 1), date(2024, 12, 31)).map(lambda day: f"{day:%m-%d}")
SUMMER, WINTER = Season("04-01", "09-30", "zomer"), Season("10-15", "03-15")


def ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(("season", "day", "said"), [
    (SUMMER, date(2026, 4, 1), ""), (SUMMER, date(2026, 9, 30), ""), (SUMMER, date(2026, 10, 1), "2027-04-01 (zomer)"),
    (SUMMER, date(2026, 3, 31), "2026-04-01 (zomer)"), (WINTER, date(2026, 12, 31), ""), (WINTER, date(2027, 1, 1), ""),
    (WINTER, date(2027, 3, 15), ""), (WINTER, date(2027, 3, 16), "2027-10-15"), (WINTER, date(2026, 10, 14), "2026-10-15"),
    (Season("02-29", "05-01"), date(2027, 2, 28), "2027-03-01"), (Season("02-29", "05-01"), date(2027, 6, 1), "2028-02-29"),
    (Season("02-29", "05-01"), date(2027, 3, 1), ""), (Season("01-05", "02-29"), date(2027, 2, 28), ""),
    (Season("02-29", "02-29"), date(2026, 11, 22), "2028-02-29"), (Season("02-29", "02-29"), date(2028, 2, 29), ""),
    (Season("02-29", "02-29"), date(2097, 1, 1), "2104-02-29"), (Season("02-29", "03-01"), date(2026, 1, 1), "2026-03-01"),
    (Season("01-05", "02-29"), date(2027, 3, 1), "2028-01-05"), (Season("07-01", "07-01"), date(2027, 7, 1), ""),
])  # fmt: skip
def test_a_season_holds_on_its_days_and_says_when_it_begins_again(season: Season, day: date, said: str) -> None:
    assert next_season([season], ms(day)) == said


def test_of_several_seasons_the_one_that_begins_first_is_told() -> None:
    assert next_season([SUMMER, WINTER], ms(date(2026, 10, 5))) == "2026-10-15"
    assert next_season([SUMMER, WINTER], ms(date(2026, 3, 20))) == "2026-04-01 (zomer)"
    assert next_season([SUMMER, WINTER], ms(date(2026, 5, 5))) == ""
    assert next_season([], ms(date(2026, 5, 5))) == ""


@given(DAYS, DAYS, DATES)
def test_the_day_that_is_told_is_the_first_day_on_which_the_season_holds(start: str, end: str, day: date) -> None:
    season = Season(start, end)
    said = next_season([season], ms(day))
    if not said:
        assert season.holds(f"{day:%m-%d}")
        return
    following = day
    while not season.holds(f"{following:%m-%d}"):
        following += timedelta(days=1)
    assert said == following.isoformat()


@pytest.mark.parametrize(
    "day", ["", "2-1", "02-30", "04-31", "13-01", "00-10", "01-00", "01-32", "0101", "01-01-", "٠١-٠١", " 01-01"]
)
def test_what_is_no_day_of_the_year_makes_no_season(day: str) -> None:
    assert read_season(day, "12-31", "") is None
    assert read_season("01-01", day, "") is None


@given(DAYS, DAYS)
def test_every_day_of_a_leap_year_is_one(start: str, end: str) -> None:
    assert read_season(start, end, "x") == Season(start, end, "x")
