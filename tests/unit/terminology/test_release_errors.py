"""A release that is not what it should be is refused, with the file, the line and what to do."""

import json
import time
import zipfile
from pathlib import Path

import pytest

from fhir_server.terminology.releases import files
from fhir_server.terminology.releases.gathering import About
from fhir_server.terminology.releases.problem import ReleaseError
from tests.unit.terminology.release_files import read, rf2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "x.csv: it is empty"),
        (b"code,display\n", "there is no concept in it"),
        (b"display,parent\na,b\n", "x.csv, line 1: the column code is missing. Allowed are"),
        (b"code,parent\na,b\n", "x.csv, line 1: there is no column display"),
        (b"code,display,colour\na,b,c\n", "x.csv, line 1: the column 'colour' is unknown"),
        (b"code,display,code\na,b,c\n", "x.csv, line 1: the column 'code' is there twice"),
        (b"code,display\na,A\nb\n", "x.csv, line 3: it has 1 values; the header names 2"),
        (b"code,display\na,A\nb,B\na,C\n", "x.csv, line 4: the code 'a' is there twice"),
        (b"code,display\n ,A\n", "x.csv, line 2: '' is no code"),
        (b"code,display\na,\n", "x.csv, line 2: the code 'a' has no display in any language"),
        (b"code,display,parent\na,A,\nb,B,q\n", "x.csv, line 3: 'b' is below 'q', which is not there"),
        (
            b"code,display,parent\na,A,b\nb,B,c\nc,C,a\nd,D,a\n",
            "goes round in a circle: a is below b is below c is below a",
        ),
        (b"code,display,parent\na,A,a\n", "goes round in a circle: a is below a"),
        (b"code,display,inactive\na,A,perhaps\n", "x.csv, line 2: the column inactive has 'perhaps'"),
        (b"code,display\na,caf\xe9\n", "x.csv, line 2: byte 6 of the line (0xE9) is not utf-8. If the file is Latin-1"),
        ("code,display\na,A\n".encode("utf-16"), "x.csv: it is UTF-16; save it as UTF-8"),
        (b'code,display\na,"A\nb,B\n', "x.csv, line 2: it is no row of CSV"),
        (b"code,display\na," + b"A," * 600_000 + b"\n", "x.csv, line 2: the line has more than 1,048,576 bytes"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(ReleaseError) as caught:
        read(path)
    assert said in str(caught.value)


CONCEPT = {"resourceType": "CodeSystem", "url": "https://example.org/x", "content": "complete"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "it must be one JSON object"),
        ('{"resourceType": "ValueSet"}', "its resourceType is 'ValueSet'; it must be CodeSystem"),
        ('{"resourceType": "CodeSystem", "concept": [{"code": "a"}', "x.json: it is no JSON"),
        (
            json.dumps({**CONCEPT, "concept": [{"code": "a"}, {"display": "b"}]}),
            "x.json, concept 2: the concept has no code",
        ),
        (json.dumps({**CONCEPT, "concept": [{"code": "a"}, {"code": "a"}]}), "concept 2: the code 'a' is there twice"),
        (json.dumps({**CONCEPT, "concept": {"code": "a"}}), "concept must be an array"),
        (json.dumps({**CONCEPT, "concept": ["a"]}), "each concept must be an object"),
        (json.dumps({**CONCEPT, "concept": [{"code": "a", "designation": [{}]}]}), "'a' is not built as R4 asks"),
        (json.dumps({**CONCEPT, "content": "supplement"}), "a supplement has no concepts"),
        (json.dumps(CONCEPT), "there is no concept in it"),
        ('{"concept": ' + '[{"concept": ' * 2_000, "nested more than 100 levels deep"),
        ('{"x": ' + "[" * 100_000, "it is no JSON"),
        (
            json.dumps({**CONCEPT, "concept": [{"code": "a", "property": [{"code": "parent", "valueCode": "q"}]}]}),
            "'a' is below 'q', which is not there",
        ),
    ],
)
def test_a_faulty_code_system_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, "utf-8")
    with pytest.raises(ReleaseError) as caught:
        read(path, About())
    assert said in str(caught.value)


LAUGHS = '<!DOCTYPE ClaML [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>\n<ClaML><Title>&b;</Title></ClaML>'
OUTSIDE = '<!DOCTYPE ClaML [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n<ClaML><Title>&a;</Title></ClaML>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LAUGHS, "x.xml, line 1: it declares entities"),
        (OUTSIDE, "x.xml, line 1: it declares entities"),
        ("<html/>", "x.xml, line 1: it is no ClaML: its root element is html"),
        ("<ClaML>\n<Class>", "x.xml, line 2: it is no XML"),
        ("", "it is no XML"),
        ("<ClaML>\n<Class code='a'/></ClaML>", "x.xml, line 2: the class 'a' has no rubric of kind preferred"),
        ("<ClaML>" + "<Rubric>" * 200, "nested more than 100 deep"),
    ],
)
def test_a_faulty_classification_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "x.xml"
    path.write_text(content, "utf-8")
    with pytest.raises(ReleaseError) as caught:
        read(path)
    assert said in str(caught.value)


def _spoil(folder: Path, kind: str, old: str, new: str) -> None:
    file = next(folder.glob(f"*_{kind}*"))
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8", newline="")


@pytest.mark.parametrize(
    ("kind", "old", "new", "said"),
    [
        ("Concept", "moduleId", "module", "the header must be id effectiveTime active moduleId"),
        ("Concept", "200002", "100001", "_Concept_Snapshot_INT_20260101.txt, line 3: the code '100001' is there twice"),
        ("Concept", "\t900000000000074008", "", "it has 4 values; the header names 5"),
        ("Description", "\t200002\ten", "\t777\ten", "the concept 777 is not in the release"),
        ("Relationship", "\t100001\t0", "\t777\t0", "line 2: the concept 777 is not in the release"),
        ("Language", "\t30\t", "\tabc\t", "'abc' is no SNOMED CT identifier"),
    ],
)
def test_a_faulty_rf2_release_is_refused(tmp_path: Path, kind: str, old: str, new: str, said: str) -> None:
    folder = rf2(tmp_path / "r", {"100001": "", "200002": "100001"})
    _spoil(folder, kind, old, new)
    with pytest.raises(ReleaseError) as caught:
        read(folder, About())
    assert said in str(caught.value)


def test_a_release_lacks_no_file(tmp_path: Path) -> None:
    folder = rf2(tmp_path / "r", {"100001": ""})
    next(folder.glob("*Relationship*")).unlink()
    with pytest.raises(ReleaseError, match="no snapshot file of type Relationship"):
        read(folder, About())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReleaseError, match="there must be one file to load"):
        read(tmp_path / "empty")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", b"0" * (20 << 20))
    began = time.process_time()
    with pytest.raises(ReleaseError, match="unpacks to 200 times its size"):
        files.find([path])
    assert time.process_time() - began < 1
    path.write_bytes(b"PK no zip")
    with pytest.raises(ReleaseError, match="no zip file that can be read"):
        files.find([path])


def test_a_zip_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.csv", "code,display\na,A\n")
    path.write_bytes(path.read_bytes().replace(b"a,A", b"a,B"))
    with pytest.raises(ReleaseError, match="it cannot be unpacked"):
        read(path)
