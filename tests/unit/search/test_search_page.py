"""Cursors: opaque, signed, bound to one search in one store."""

import pytest

from fhir_server.model.errors import Malformed
from fhir_server.search.page import CursorCodec, fingerprint_of

CODEC = CursorCodec(b"k" * 32)
PRINT = fingerprint_of("store", "Task", (("status", "requested"),))


@pytest.mark.parametrize("position", [(), (5,), ("a", None, 2.5, 7), ("é|&=", -1, "x" * 500)])
def test_a_position_comes_back(position: tuple[str | int | float | None, ...]) -> None:
    text = CODEC.encode(PRINT, position)
    assert CODEC.decode(text, PRINT) == position
    assert text.replace("-", "").replace("_", "").isalnum()


def test_a_cursor_does_not_say_the_same_for_another_search_store_or_key() -> None:
    text = CODEC.encode(PRINT, (1, "a"))
    others = [
        (CODEC, fingerprint_of("other", "Task", (("status", "requested"),))),
        (CODEC, fingerprint_of("store", "Patient", (("status", "requested"),))),
        (CODEC, fingerprint_of("store", "Task", (("status", "accepted"),))),
        (CODEC, b""),
        (CursorCodec(b"x" * 32), PRINT),
    ]
    for codec, fingerprint in others:
        with pytest.raises(Malformed) as error:
            codec.decode(text, fingerprint)
        assert error.value.issues[0].key == "bad-cursor"


def test_the_size_of_the_page_may_change_between_pages() -> None:
    asked = (("status", "a"), ("_count", "5"))
    assert fingerprint_of("s", "Task", asked) == fingerprint_of("s", "Task", (("status", "a"), ("_count", "9")))


def test_every_changed_character_is_noticed() -> None:
    text = CODEC.encode(PRINT, (12345, "abc"))
    for index, old in enumerate(text):
        for new in "AZaz09-_=+ ":
            if new != old:
                with pytest.raises(Malformed):
                    CODEC.decode(text[:index] + new + text[index + 1 :], PRINT)


@pytest.mark.parametrize("text", ["", "x", "====", "é", "A" * 100_000, "AAAA\n", "../..", "null"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as error:
        CODEC.decode(text, PRINT)
    assert error.value.issues[0].key == "bad-cursor"
    for longer in (CODEC.encode(PRINT, (1,)) + "=", CODEC.encode(PRINT, (1,)) + "A", " " + CODEC.encode(PRINT, (1,))):
        with pytest.raises(Malformed):
            CODEC.decode(longer, PRINT)
