"""The table of verdicts in the documentation is what the validator says today."""

from pathlib import Path

import pytest

from tools.official.third_party import FOLDER, Verdict, table, verdicts

DOCUMENT = Path(__file__).parents[3] / "docs/validation.md"


def test_the_documented_verdicts_are_those_of_today() -> None:
    if not FOLDER.is_dir():
        pytest.skip("the published instances are not at hand")
    text = DOCUMENT.read_text()
    documented = text.partition("<!-- verdicts -->")[2].partition("<!-- end -->")[0].strip()
    assert documented == "\n".join(table(verdicts()))


def test_the_table_counts_what_is_stored_and_names_what_is_refused() -> None:
    judged = [
        Verdict("one", "a.json", True, (), ("w", "w")),
        Verdict("one", "b.json", True, (("key", "A.b"),), ()),
        Verdict("two", "c.json", False, (("key", "C"),), ()),
    ]
    lines = list(table(judged))
    assert lines[2:5] == ["| one | 2 | 2 | 1 | `w` 1 |", "| two | 1 | 0 | 0 | none |", "| together | 3 | 2 | 1 | |"]
    assert lines[-2:] == ["| b.json | `key` | `A.b` |", "| c.json | `key` | `C` |"]
