"""docs/search.md is true: each example is answered, or refused as the row says."""

import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "search.md"
_CELLS = re.compile(r"(?<!\\)\|")


class Feature(NamedTuple):
    """One row: what it is, whether it is offered, an example, and the note."""

    name: str
    offered: str
    example: str
    note: str


def features() -> list[Feature]:
    rows = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in _CELLS.split(line)[1:-1]]
        if len(cells) == 4 and cells[1] in ("yes", "no"):
            rows.append(Feature(cells[0], cells[1], cells[2].strip("`").replace("\\|", "|"), cells[3]))
    return rows


@pytest.mark.parametrize("feature", features(), ids=lambda feature: f"{feature.name}: {feature.example}")
def test_an_example_is_answered_or_refused_as_the_page_says(
    client: httpx.Client, refused: Any, feature: Feature
) -> None:
    path, _, query = feature.example.partition("?")
    answer = client.get(f"/{path}?{quote(query, safe='=&%,|$:*/')}")
    if feature.offered == "yes":
        assert answer.status_code == 200, answer.text
        assert answer.json()["type"] == "searchset"
    else:
        key = re.match(r"`([a-z-]+)`", feature.note)
        assert key, "a row with no names the key of the issue"
        issue = refused(answer, 400, key[1])
        assert len(issue["diagnostics"]) > 40, "it says what to do"


def test_the_page_names_every_feature_once() -> None:
    rows = features()
    assert len(rows) > 100
    assert len({row.name for row in rows}) == len(rows)
    assert {row.offered for row in rows} == {"yes", "no"}
