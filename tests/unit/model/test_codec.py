"""The codec: what is refused and how it is named, and that everything else comes back as it was sent."""

import time
from decimal import Decimal

import pytest

from fhir_server.model import codec
from fhir_server.model.errors import Malformed


def nested(levels: int, inner: bytes = b"1") -> bytes:
    return b'{"a":' * levels + inner + b"}" * levels


REFUSED: list[tuple[str, bytes, str]] = [
    ("byte order mark", b'\xef\xbb\xbf{"a":1}', "byte-order-mark"), ("empty", b"", "empty-body"), ("blank", b" \n\t", "empty-body"),
    ("latin-1 value", b'{"a":"\xe9"}', "not-utf-8"), ("latin-1 name", b'{"\xe9":1}', "not-utf-8"), ("overlong", b'{"a":"\xc0\x80"}', "not-utf-8"),
    ("surrogate as utf-8", b'{"a":"\xed\xa0\x80"}', "not-utf-8"), ("cut utf-8", b'{"a":"\xe2\x82"}', "not-utf-8"),
    ("duplicate", b'{"a":1,"a":2}', "duplicate-member"), ("duplicate of equal values", b'{"a":"x","a":"x"}', "duplicate-member"),
    ("duplicate nested", b'{"x":[{"b":{"a":1,"a":2}}]}', "duplicate-member"), ("duplicate by escape", b'{"a":1,"\\u0061":2}', "duplicate-member"),
    ("duplicate escaped twice", b'{"\\u0061":1,"\\u0061":2}', "duplicate-member"), ("duplicate objects", b'{"a":{"b":1},"a":{"b":1}}', "duplicate-member"),
    ("duplicate beside escapes", b'{"t":"x\\ny","a":1,"a":2}', "duplicate-member"), ("duplicate in many", b'{"a":1,"b":{"c":"","c":""}}', "duplicate-member"),
    ("NaN", b'{"a":NaN}', "not-json"), ("Infinity", b'{"a":Infinity}', "not-json"), ("-Infinity", b"[-Infinity]", "not-json"),
    ("lone high surrogate at the end", b'{"a":"x\\ud800"}', "not-json"), ("lone high surrogate in the middle", b'{"a":"\\ud800abc"}', "not-json"),
    ("lone high surrogate before an escape", b'{"a":"\\ud800\\n"}', "not-json"), ("lone high surrogate before a letter", b'{"a":"\\ud800\\u0041"}', "not-json"),
    ("lone low surrogate", b'{"a":"\\udc00"}', "not-json"), ("lone low surrogate in the middle", b'{"a":"x\\udc00y"}', "not-json"),
    ("two high surrogates", b'{"a":"\\ud800\\ud800"}', "not-json"), ("reversed pair", b'{"a":"\\udc00\\ud800"}', "not-json"), ("surrogate in a name", b'{"\\ud800":1}', "not-json"),
    ("text after", b'{"a":1} x', "not-json"), ("second value", b'{"a":1}{"b":1}', "not-json"), ("null byte after", b'{"a":1}\x00', "not-json"),
    ("cut", b'{"a":', "not-json"), ("single quotes", b"{'a':1}", "not-json"), ("trailing comma", b"[1,]", "not-json"), ("comment", b"{} //x", "not-json"),
    ("control character", b'{"a":"\n"}', "not-json"), ("leading zero", b"[01]", "not-json"), ("plus", b"[+1]", "not-json"), ("bare point", b"[.5]", "not-json"),
    ("open point", b"[1.]", "not-json"), ("hexadecimal", b"[0x1]", "not-json"), ("impossible exponent", b"[1e9999999999999999999999]", "not-json"),
    ("arrays 10,000 deep", b"[" * 10_000 + b"]" * 10_000, "too-deep"), ("objects 10,000 deep", nested(10_000), "too-deep"), ("objects 101 deep", nested(101), "too-deep"),
    ("arrays 101 deep", b"[" * 101 + b"]" * 101, "too-deep"), ("an empty object at 101", nested(100, b"{}"), "too-deep"), ("escapes at 101", nested(101, b'"\\n"'), "too-deep"),
    ("brackets in strings hide no depth", b'{"s":"}{","a":' * 101 + b"1" + b"}" * 101, "too-deep"), ("wide and deep", b"[" + b"[]," * 200 + b"[" * 100 + b"]" * 101, "too-deep"),
    ("deep and duplicate", b'{"b":"\\n","a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "too-deep"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "key"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_body_is_refused(raw: bytes, key: str) -> None:
    with pytest.raises(Malformed) as caught:
        codec.decode(raw)
    issue = caught.value.issues[0]
    assert (issue.key, issue.code, issue.severity) == (key, "structure", "error")
    assert issue.diagnostics.endswith(".")


@pytest.mark.parametrize(
    "raw",
    [
        b"[1.0,1.00,1E3,1e3,1e-10,1e+5,-0.0,0.0,0.10E1,1e400,-1e-400,1e999999999]",
        b"[123456789012345678901234567890.123456789012345678901234567890]",
        b"[" + b"9" * 400 + b",9223372036854775808,-9223372036854775809,0,-1]",
        b'{"z":1,"a":[true,false,null,{}],"":[]}',
        b'{"a":"\\u0000\\n\\"\\\\/"}',
        '{"naam":"Zoë ’t Hóóft 🌍"}'.encode(),
        b'{"a":"\\\\ud800"}',
        nested(100),
        b"[" * 100 + b"]" * 100,
        nested(100, b'"\\n"'),
        b"[" + b",".join([b'{"a":[1]}'] * 200) + b"]",
        b'"a text"',
        b"[" + b'"}]{[",' * 300 + b"{}]",
        b'{"s":"}{","a":' * 100 + b"1" + b"}" * 100,
    ],
)
def test_a_body_comes_back_byte_for_byte(raw: bytes) -> None:
    assert codec.encode(codec.decode(raw)) == raw


def test_blanks_and_needless_escapes_go() -> None:
    assert codec.encode(codec.decode(b' {"a" : "\\u00e9\\ud83d\\ude00\\/"}\r\n')) == '{"a":"é😀/"}'.encode()


def test_numbers_are_decimals_or_whole() -> None:
    values = codec.decode(b"[1.50,2,1E3]")
    assert values == [Decimal("1.50"), 2, Decimal(1000)]
    assert [isinstance(value, Decimal) for value in values] == [True, False, True]
    assert str(values[0]) == "1.50"


def test_a_resource_is_an_object_with_a_type() -> None:
    assert codec.decode_resource(b'{"resourceType":"Task"}') == {"resourceType": "Task"}
    for raw in (b"[]", b'"x"', b"{}", b'{"resourceType":5}', b'{"resourceType":null}'):
        with pytest.raises(Malformed):
            codec.decode_resource(raw)


def test_pretty_indents_without_changing_anything() -> None:
    assert codec.pretty(b'{"a":[1.00,{"b":"x"}]}') == b'{\n  "a": [\n    1.00,\n    {\n      "b": "x"\n    }\n  ]\n}'


def test_what_is_no_json_value_is_not_written() -> None:
    with pytest.raises(TypeError, match="complex is not a JSON value"):
        codec.encode({"a": 1j})


def test_decoding_is_linear_in_the_size_of_the_body() -> None:
    """A wide body costs in proportion: no check looks back. The bound is loose, the machine may be busy."""
    body = b'{"resourceType":"List","x":[' + b",".join(b'{"a":%d,"b":"c\\n"}' % n for n in range(50_000)) + b"]}"
    begun = time.perf_counter()
    codec.decode(body)
    assert time.perf_counter() - begun < 5
