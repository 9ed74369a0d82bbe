"""Compare our verdicts with those of an outside judge: HAPI's R4 instance validator (`Judge.java`, offline).

    python -m tools.official.compare        (make validate-official; Java 17 and Maven are needed)

Judged are all artefacts, all examples, valid and invalid, and the third-party instances of ../shared/data where they are
there. Each file of ours is judged twice: `base` is R4 alone, `profile` adds our profiles; others' at `base` only. Printed
are the files that one judge refuses and the other accepts, and the elements that only one of the two refuses.

Everything is kept in var/official: the libraries, and each verdict under a digest of what it depends on, so that a second
run judges only what changed. The exit code is 0 whatever the verdicts are: a difference is for a person to study.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model import codec
from fhir_server.validation.pipeline import Validator

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CACHE = ROOT / "var" / "official"
LIBRARIES = CACHE / "lib"
VERDICTS = CACHE / "verdicts.json"
ARTIFACTS = ("profiles", "terminology")
OTHERS = ROOT.parent / "shared" / "data"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
WIDTH = 160
_COMMENT = re.compile(r"/\*.*?\*/")
_TYPED = re.compile(r"\.ofType\(\w+\)|\[url=[^\]]*\]|\[x\]")


class Case(NamedTuple):
    """A file to judge, at level `base` or `profile`."""

    level: str
    path: Path

    @property
    def name(self) -> str:
        """The path as it is printed."""
        return str(self.path.relative_to(ROOT if self.path.is_relative_to(ROOT) else ROOT.parent))


class Fault(NamedTuple):
    """An error that a judge found: the element, a key, and its text."""

    element: str
    key: str
    text: str


def cases() -> Iterator[Case]:
    """Yield every file that holds a resource, at each level that it is judged at."""
    for folder in (*ARTIFACTS, "examples"):
        for path in sorted((ROOT / folder).rglob("*.json")):
            if _is_resource(path):
                yield Case("base", path)
                yield Case("profile", path)
    for path in sorted(OTHERS.rglob("*.json")):
        if _is_resource(path):
            yield Case("base", path)


def _is_resource(path: Path) -> bool:
    body = json.loads(path.read_bytes())
    return isinstance(body, dict) and "resourceType" in body


def official(asked: list[Case]) -> dict[Case, list[Fault]]:
    """Return the errors that the outside judge finds, from the cache where nothing has changed."""
    kept: dict[str, list[list[str]]] = json.loads(VERDICTS.read_bytes()) if VERDICTS.is_file() else {}
    digests = _digests(asked)
    missing = [case for case in asked if digests[case] not in kept]
    if missing:
        _fetch_libraries()
        for case, verdict in zip(missing, _judge(missing), strict=True):
            kept[digests[case]] = [list(fault) for fault in _errors(verdict)]
        VERDICTS.write_text(json.dumps({digest: kept[digest] for digest in digests.values()}))
    return {case: [Fault(*fault) for fault in kept[digests[case]]] for case in asked}


def _digests(asked: list[Case]) -> dict[Case, str]:
    judge = _digest([HERE / "Judge.java", HERE / "pom.xml"])
    artifacts = _digest(path for folder in ARTIFACTS for path in sorted((ROOT / folder).rglob("*.json")))
    depends = {"base": judge, "profile": judge + artifacts}
    return {case: _digest([case.path], case.level + depends[case.level]) for case in asked}


def _digest(paths: Iterable[Path], salt: str = "") -> str:
    digest = hashlib.sha256(salt.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _fetch_libraries() -> None:
    stamp = LIBRARIES / _digest([HERE / "pom.xml"])
    if stamp.exists():
        return
    print("Fetching the judge's libraries (about 150 MB, once) ...", flush=True)
    for old in LIBRARIES.glob("*"):
        old.unlink()
    pom = ["mvn", "--quiet", "--batch-mode", "--file", str(HERE / "pom.xml")]
    subprocess.run([*pom, COPY, f"-DoutputDirectory={LIBRARIES}", "-DincludeScope=runtime"], check=True)
    stamp.touch()


def _judge(asked: list[Case]) -> Iterator[dict[str, Any]]:
    print(f"The outside judge reads {len(asked)} files ...", flush=True)
    command = ["java", "-Xmx3g", "-cp", f"{LIBRARIES}/*", str(HERE / "Judge.java"), *ARTIFACTS]
    lines = "".join(f"{case.level}\t{case.path}\n" for case in asked)
    with (CACHE / "judge.log").open("w") as log:  # where its own FHIRPath engine stumbles, it prints a stack
        ran = subprocess.run(
            command, cwd=ROOT, input=lines, stdout=subprocess.PIPE, stderr=log, encoding="utf-8", check=True
        )
    return map(json.loads, ran.stdout.splitlines())


def _errors(verdict: dict[str, Any]) -> Iterator[Fault]:
    for found in verdict["messages"]:
        if found["severity"] in ("error", "fatal"):
            yield Fault(_COMMENT.sub("", found["location"]), found["id"], found["text"])


def _element(location: str) -> str:
    """Return a location without what only one judge writes there: Bundle.entry[0].resource.value.code."""
    return _TYPED.sub("", _COMMENT.sub("", location))


def ours(asked: list[Case]) -> dict[Case, list[Fault]]:
    """Return the errors that we find."""
    catalog = Catalog.load(ROOT)
    base, profiled = Validator.load(), Validator.load(catalog)
    found: dict[Case, list[Fault]] = {}
    for case in asked:
        resource = codec.decode_resource(case.path.read_bytes())
        issues = base.report(resource) if case.level == "base" else profiled.judge(resource).issues
        errors = [issue for issue in issues if issue.severity in ("error", "fatal")]
        found[case] = [Fault(issue.expression, issue.key, str(issue.diagnostics)) for issue in errors]
    return found


def table(we: dict[Case, list[Fault]], they: dict[Case, list[Fault]]) -> Iterator[str]:
    """Yield the lines to print: counts, verdicts that differ, and elements that only one judge refuses."""
    for level in ("base", "profile"):
        of_level = [case for case in we if case.level == level]
        refused = [sum(bool(faults[case]) for case in of_level) for faults in (we, they)]
        yield f"{level}: {len(of_level)} files; we refuse {refused[0]}, the outside judge {refused[1]}."
    differ = [case for case in we if bool(we[case]) != bool(they[case])]
    yield f"\nVerdicts that differ: {len(differ)}"
    for case in differ:
        yield from _lines(case, "ours", we[case])
        yield from _lines(case, "official", they[case])
    yield "\nBoth refuse, but for different elements:"
    for case, found in we.items():
        if found and they[case]:
            yield from _lines(case, "ours", _without(found, they[case]))
            yield from _lines(case, "official", _without(they[case], found))


def _without(faults: list[Fault], others: list[Fault]) -> list[Fault]:
    """Return the faults at elements for which the other judge has none there, right above or right below."""
    near = {fault.element for fault in others}
    return [one for one in faults if not any(_related(one.element, other) for other in near)]


def _related(one: str, other: str) -> bool:
    shorter, longer = sorted((_element(one), _element(other)), key=len)
    return longer == shorter or (bool(shorter) and longer.rpartition(".")[0] == shorter)


def _lines(case: Case, judge: str, faults: list[Fault]) -> Iterator[str]:
    for fault in dict.fromkeys(faults):
        text = f"{fault.key}: {' '.join(fault.text.split())}"
        yield f"  {case.level:7} {judge:8} {case.name}\n{'':19}{fault.element or '-'}\n{'':19}{text[:WIDTH]}"


def main() -> int:
    """Judge everything twice and print where the verdicts differ."""
    asked = list(cases())
    CACHE.mkdir(parents=True, exist_ok=True)
    lines = list(table(ours(asked), official(asked)))
    (CACHE / "differences.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
