"""The figures of the region: numbers and bars, as CSV and as a MeasureReport; nothing about any person."""

import csv
import io
from http import HTTPStatus
from typing import Final, NamedTuple

from fastapi import Response

from fhir_server.http.pages.periods import days_of, of_days, offered_periods
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import Labels, labels
from fhir_server.interactions.status import status_of_error
from fhir_server.model.codec import encode
from fhir_server.model.errors import Forbidden, Malformed
from fhir_server.model.resource import Resource
from fhir_server.validation.wording import outcome_in

_RISKY: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would take for a formula."""


class Bar(NamedTuple):
    """One row of a chart; `number` is None where it is too small to tell, `width` is a part of 100."""

    label: str
    number: int | None
    width: float


class Figure(NamedTuple):
    """One group of a report."""

    code: str
    number: int | None
    score: str
    strata: list[tuple[str, list[Bar]]]


async def show(visit: Visit) -> Response:
    """Show the figures of a period."""
    try:
        report = await _report(visit)
    except Malformed as error:
        told, _ = outcome_in(error.issues, visit.texts.language)
        said = [issue.diagnostics for issue in told]
        periods = offered_periods(visit, "")
        return await visit.page("region.html", status=status_of_error(error), said=said, figures=(), periods=periods)
    start, end = report["period"]["start"], report["period"]["end"]
    return await visit.page(
        "region.html",
        said=(),
        figures=await _figures(visit, report),
        periods=offered_periods(visit, of_days(start, end)),
        start=start,
        end=end,
    )


async def csv_file(visit: Visit) -> Response:
    """Return the figures as a file for spreadsheets: figure, stratum, value, number; a number too small to tell is empty."""
    report = await _report(visit)
    texts = visit.texts
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\r\n")
    rows.writerow([texts("region.figure"), texts("region.by"), texts("region.what"), texts("region.number")])
    for figure in await _figures(visit, report):
        name = texts(f"figure.{figure.code}")
        rows.writerow([cell(name), "", "", "" if figure.number is None else figure.number])
        if figure.score:
            rows.writerow([cell(name), "", cell(texts(f"score.{figure.code}", value=figure.score)), ""])
        for title, bars in figure.strata:
            for bar in bars:
                rows.writerow([cell(name), cell(title), cell(bar.label), "" if bar.number is None else bar.number])
    period = report["period"]
    headers = {
        "content-disposition": f'attachment; filename="figures-{period["start"]}-{period["end"]}.csv"',
        "cache-control": "no-store",
    }
    body = "\ufeff" + written.getvalue()  # spreadsheets take it for UTF-8 then
    return visit.finish(Response(body, HTTPStatus.OK, headers, "text/csv; charset=utf-8"))


async def report_file(visit: Visit) -> Response:
    """Return the MeasureReport itself."""
    report = await _report(visit)
    headers = {"content-disposition": 'attachment; filename="figures.json"', "cache-control": "no-store"}
    return visit.finish(Response(encode(report), HTTPStatus.OK, headers, "application/fhir+json"))


def cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(_RISKY) else text


async def _report(visit: Visit) -> Resource:
    if not visit.oversees:
        raise Forbidden("The figures of the region are for operators and link workers.", key="access-role")
    chosen = visit.query.one("period", 20)
    days = days_of(chosen) if chosen else [(name, visit.query.one(name, 80)) for name in ("start", "end")]
    asked = [(name, text) for name, text in (*days, ("area", visit.query.one("area", 80))) if text]
    return await visit.fhir.operation("$region-figures", *asked)


async def _figures(visit: Visit, report: Resource) -> list[Figure]:
    """Return the groups of a report in the language of the visit."""
    needs = labels(await visit.fhir.choices("social-need"))
    reasons = labels(await visit.fhir.choices("status-reason"))
    return [_figure(visit, group, {"need": needs, "reason": reasons}) for group in report["group"]]


def _figure(visit: Visit, group: Resource, known: dict[str, Labels]) -> Figure:
    texts, code = visit.texts, _code(group)
    score = (group.get("measureScore") or {}).get("value")
    said = "" if score is None else texts.number(float(score) * (100 if code == "answers" else 1))
    strata = []
    for stratifier in group.get("stratifier", ()):
        name = _code({"code": stratifier["code"][0]})
        found = [(one["value"]["text"], one["population"][0].get("count")) for one in stratifier["stratum"]]
        most = max((count for _, count in found if count is not None), default=0) or 1
        bars = [
            Bar(_label(visit, name, value, known), count, round(100 * (count or 0) / most, 1)) for value, count in found
        ]
        strata.append((texts(f"stratum.{name}"), bars))
    return Figure(code, group["population"][0].get("count"), said, strata)


def _label(visit: Visit, name: str, value: str, known: dict[str, Labels]) -> str:
    if name in known:
        return known[name].get(value, value)
    text = {"answer": "answer.", "waited": "waited.", "outcome": "status."}.get(name, "")
    return visit.texts(f"{text}{value}") if text and visit.texts.has(f"{text}{value}") else value


def _code(element: Resource) -> str:
    return str(element["code"]["coding"][0]["code"])
