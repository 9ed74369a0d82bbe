"""A store in a folder, and the `directory` commands on it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from fhir_server.cli import main

HEADER = [
    "organisatie",
    "dienst",
    "dienst id",
    "noden",
    "soort aanbod",
    "straat en nummer",
    "gemeente",
    "werkingsgebied",
    "leeftijd van",
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


class Region:
    """A store in a folder, and the commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = str(folder / "fhir.sqlite")
        self.exports = 0

    def bring(
        self, rows: list[list[str]], *options: str, name: str = "offer.csv", mapping: str = "spreadsheet"
    ) -> Result:
        text = io.StringIO()
        csv.writer(text).writerows([HEADER, *rows])
        return self.bring_file(name, text.getvalue().encode(), mapping, *options)

    def bring_file(self, name: str, raw: bytes, mapping: str, *options: str) -> Result:
        path = self.folder / name
        path.write_bytes(raw)
        return run(
            "directory", "import", str(path), "--mapping", mapping, "--source", "zone", "--to", self.store, *options
        )

    def stored(self, resource_type: str) -> dict[str, dict[str, Any]]:
        self.exports += 1
        out = self.folder / f"out-{self.exports}"
        exported = run("export", "--store", self.store, "--out", str(out))
        assert exported.exit_code == 0, exported.output
        file = out / f"{resource_type}.ndjson"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return {resource["id"]: resource for resource in map(json.loads, lines) if resource["id"].startswith("zone-")}
