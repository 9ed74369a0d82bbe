"""Small invented releases, written as the real ones are."""

from pathlib import Path

from fhir_server.terminology.concepts import Concept
from fhir_server.terminology.releases import hierarchy, numbered
from fhir_server.terminology.releases.gathering import About, Gathering
from fhir_server.terminology.releases.numbered import Numbered, concept_of
from fhir_server.terminology.releases.read import choose, gather

IS_A, FULL, SYNONYM = "116680003", "900000000000003001", "900000000000013009"
PREFERRED, CORE = "900000000000548007", "900000000000207008"
HEADERS = {
    "Concept": "id effectiveTime active moduleId definitionStatusId",
    "Description": "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
    "Relationship": "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId "
    "characteristicTypeId modifierId",
}


def table(kind: str, *rows: str) -> str:
    """Lay rows, whose values are separated by |, out as an RF2 file."""
    return "\r\n".join("\t".join(row.split("|")) for row in (HEADERS[kind].replace(" ", "|"), *rows)) + "\r\n"


def rf2(folder: Path, links: dict[str, str], retired: tuple[str, ...] = ()) -> Path:
    """Write a snapshot: `links` maps a code to its parents; terms are "term <code>" and "begrip <code>"."""
    folder.mkdir(parents=True, exist_ok=True)
    concepts = [f"{code}|20260101|{int(code not in retired)}|{CORE}|900000000000074008" for code in links]
    texts, preferred = [], ["id|effectiveTime|active|moduleId|refsetId|referencedComponentId|acceptabilityId"]
    for number, code in enumerate(links):
        start = f"{number}|20260101|1|{CORE}|{code}"
        texts.append(f"1{start}|en|{FULL}|term {code} (finding)|0")
        texts.append(f"2{start}|en|{SYNONYM}|other {code}|0")
        texts.append(f"3{start}|en|{SYNONYM}|term {code}|0")
        texts.append(f"4{start}|nl|{SYNONYM}|begrip {code} énig|0")
        preferred += [f"u|20260101|1|{CORE}|1|{which}{number}|{PREFERRED}" for which in (3, 4)]
    isa = [
        f"{n}|20260101|1|{CORE}|{code}|{parent}|0|{IS_A}|0|0"
        for n, (code, parents) in enumerate(links.items())
        for parent in parents.split()
    ]
    (folder / "sct2_Concept_Snapshot_INT_20260101.txt").write_text(table("Concept", *concepts), "utf-8", newline="")
    (folder / "sct2_Description_Snapshot-en_INT_20260101.txt").write_text(
        table("Description", *texts), "utf-8", newline=""
    )
    (folder / "sct2_Relationship_Snapshot_INT_20260101.txt").write_text(
        table("Relationship", *isa), "utf-8", newline=""
    )
    (folder / "der2_cRefset_LanguageSnapshot-en_INT_20260101.txt").write_text(
        "".join("\t".join(row.split("|")) + "\r\n" for row in preferred), "utf-8", newline=""
    )
    return folder


def read(
    path: Path, about: About | None = None, encoding: str = "utf-8"
) -> tuple[About, list[Numbered], list[Concept]]:
    """Read a release as the loader does."""
    with Gathering() as gathering:
        gather(choose([path]), about or About("https://example.org/codes"), gathering, lambda _: None, encoding)
        tree = hierarchy.number(gathering)
        uses = numbered.head(gathering, tree).uses
        rows = list(numbered.concepts(gathering, tree))
        return gathering.about, rows, [concept_of(row.body, row.number, uses) for row in rows]
