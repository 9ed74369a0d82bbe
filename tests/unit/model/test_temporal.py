"""Temporal values as half-open intervals (R4 search.html#date)."""

from datetime import UTC, datetime

import pytest

from fhir_server.model.temporal import BEGINNING, END, Interval, parse_temporal, period_interval, timing_interval


def micros(*parts: int) -> int:
    moment = datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # parts come from a table
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("2026", (2026, 1, 1), (2027, 1, 1)), ("2026-11", (2026, 11, 1), (2026, 12, 1)), ("2026-12", (2026, 12, 1), (2027, 1, 1)), ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
        ("2026-11-22T10:30", (2026, 11, 22, 10, 30), (2026, 11, 22, 10, 31)), ("2026-11-22T10:30Z", (2026, 11, 22, 10, 30), (2026, 11, 22, 10, 31)),
        ("2026-11-22T10:30:15Z", (2026, 11, 22, 10, 30, 15), (2026, 11, 22, 10, 30, 16)), ("2026-11-22T10:30:15", (2026, 11, 22, 10, 30, 15), (2026, 11, 22, 10, 30, 16)),
        ("2026-11-22T10:30:15+01:00", (2026, 11, 22, 9, 30, 15), (2026, 11, 22, 9, 30, 16)), ("2026-11-22T23:30:00-05:30", (2026, 11, 23, 5, 0), (2026, 11, 23, 5, 0, 1)),
        ("2026-01-01T00:00:00+14:00", (2025, 12, 31, 10), (2025, 12, 31, 10, 0, 1)), ("2026-11-22T10:30:15.5Z", (2026, 11, 22, 10, 30, 15, 500_000), (2026, 11, 22, 10, 30, 15, 600_000)),
        ("2026-11-22T10:30:15.123Z", (2026, 11, 22, 10, 30, 15, 123_000), (2026, 11, 22, 10, 30, 15, 124_000)),
        ("2026-11-22T10:30:15.123456Z", (2026, 11, 22, 10, 30, 15, 123_456), (2026, 11, 22, 10, 30, 15, 123_457)),
        ("2026-11-22T10:30:15.123456789Z", (2026, 11, 22, 10, 30, 15, 123_456), (2026, 11, 22, 10, 30, 15, 123_457)),
        ("2016-12-31T23:59:60Z", (2016, 12, 31, 23, 59, 59), (2017, 1, 1)), ("1969-12-31T23:59:59Z", (1969, 12, 31, 23, 59, 59), (1970, 1, 1)), ("0001", (1, 1, 1), (2, 1, 1)),
    ],
)  # fmt: skip
def test_a_value_stands_for_the_range_that_its_precision_leaves_open(
    text: str, lo: tuple[int, ...], hi: tuple[int, ...]
) -> None:
    assert parse_temporal(text) == Interval(micros(*lo), micros(*hi))


@pytest.mark.parametrize("text", ["9999", "9999-12", "9999-12-31"])
def test_the_last_year_ends_where_the_calendar_ends(text: str) -> None:
    assert parse_temporal(text).hi == micros(9999, 12, 31) + 86_400_000_000


def test_the_ends_of_the_calendar_may_have_zones() -> None:
    assert parse_temporal("9999-12-31T23:59:59-12:00").lo > micros(9999, 12, 31)
    assert parse_temporal("0001-01-01T00:00:00+14:00").lo == micros(1, 1, 1) - 14 * 3_600_000_000


@pytest.mark.parametrize(
    "text",
    [
        "", "0000", "26", "20260", "2026-13", "2026-00", "2026-1", "2026-02-30", "2025-02-29", "2026-04-31", "2026-01-32", "2026-01-01T", "2026-01-01T10", "2026-01-01T24:00:00Z",
        "2026-01-01T10:60Z", "2026-01-01T10:00:61Z", "2026-01-01T10:00:00.Z", "2026-01-01T10:00:00+14:30", "2026-01-01T10:00:00+1:00", "2026-01-01t10:00:00z", "2026-01-01 10:00:00",
        " 2026", "2026\n", "2026T10:00Z", "2026-01-01Z", "\u0662\u0660\u0662\u0666", "2026-01-0\u0661",
    ],
)  # fmt: skip
def test_what_is_no_temporal_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_temporal(text)


def test_a_period_may_be_open() -> None:
    day = parse_temporal("2026-01-02")
    assert period_interval("2026-01-02", "2026-01-02") == day
    assert period_interval(None, "2026-01-02") == Interval(BEGINNING, day.hi)
    assert period_interval("2026-01-02", None) == Interval(day.lo, END)
    assert period_interval(None, None) == Interval(BEGINNING, END)
    with pytest.raises(ValueError):
        period_interval("2026-01-02", "soon")


def test_a_timing_spans_its_events_and_bounds() -> None:
    first, last = parse_temporal("2026-01-02"), parse_temporal("2026-03")
    assert timing_interval({"event": ["2026-03", "2026-01-02"]}) == Interval(first.lo, last.hi)
    assert timing_interval({"repeat": {"boundsPeriod": {"start": "2026-01-02"}}}) == Interval(first.lo, END)
    assert timing_interval({"event": ["2025"], "repeat": {"boundsPeriod": {"end": "2026-03"}}}) == Interval(
        BEGINNING, last.hi
    )
    assert timing_interval({"event": [None, "2026-01-02"]}) == first
    assert timing_interval({}) is None
    assert timing_interval({"repeat": {"frequency": 2}, "code": {"text": "BID"}}) is None
    with pytest.raises(ValueError):
        timing_interval({"event": ["2026-02-30"]})
