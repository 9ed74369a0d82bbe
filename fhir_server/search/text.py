"""How texts compare: one folding for what is stored and for what is asked (R4 search.html#string).

`normalise` gives, for any text, in this order:

1. compatibility forms and accents: NFKD without combining marks (`Muñoz` → `Munoz`, `Ĳsselmeer` → `IJsselmeer`, `ﬁ` → `fi`),
   and the Latin letters that Unicode does not decompose (`ø æ œ ß ł đ ð þ ı` → `o ae oe ss l d d th i`); marks that no
   reader sees (soft hyphens, joiners, marks of direction) vanish too;
2. case: full case folding (`STRAẞE` → `strasse`);
3. apostrophes in all their forms, and full stops, vanish: `d'Hondt` = `D’Hondt` = `dhondt`, `St.` = `St`;
4. every other punctuation mark and symbol, and every run of white space, is one blank: `Jean-Pierre` = `jean pierre`;
5. no blank at either end.

Letters and digits of scripts without case stay as they are, and so do the marks that make another letter there: vowel signs of
Devanagari or Thai, voiced kana, the syllables of Hangul. Points and accents of Hebrew, Arabic, Greek and Cyrillic go, as above.
"""

import re
import unicodedata

_VANISH = "'’‘‛`´ʼʻʹ′＇."
_LATIN = {
    "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ß": "ss", "ẞ": "SS", "ł": "l", "Ł": "L",
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "n", "Ŋ": "N",
}  # fmt: skip
_LETTERS = str.maketrans(_LATIN | dict.fromkeys(_VANISH, ""))
_ASCII = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()} | {"'": "", "`": "", ".": ""})
_LETTER_MARKS = frozenset({0, 7, 8, 9, 84, 91, 103, 118, 129, 130, 132})
"""Combining classes (Unicode) of marks that make another letter: vowel signs, nukta, voicing and viramas, no accents."""
_VARIANTS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_LATIN_MARKS = re.compile("[\u0300-\u036f]+")
_OTHER = re.compile(r"[\W_]+")
_SOUNDS = str.maketrans(
    dict.fromkeys("bfpvw", "1") | dict.fromkeys("cgjkqsxz", "2") | dict.fromkeys("dt", "3") | {"l": "4"}
    | dict.fromkeys("mn", "5") | {"r": "6"}
)  # fmt: skip
_SILENT = re.compile(r"[^1-6]+")
_PHONE = re.compile(r"[\d\s()+./\-]+")
_NOT_DIALLED = re.compile(r"[^\d+]+")


def normalise(text: str) -> str:
    """Fold a text as the module says; idempotent, and "" for a text of nothing but punctuation."""
    if not text.isascii():
        text = _folded(text)
        if not text.isascii():
            return _words(_folded(text.casefold()))
    return " ".join(text.lower().translate(_ASCII).split())


def _folded(text: str) -> str:
    decomposed = _LATIN_MARKS.sub("", unicodedata.normalize("NFKD", text.translate(_LETTERS)))
    if decomposed.isascii():
        return decomposed
    return "".join([char for char in _VARIANTS.sub("", decomposed.translate(_LETTERS)) if _counts(char)])


def _counts(char: str) -> bool:
    category = unicodedata.category(char)
    return category != "Cf" and (category != "Mn" or unicodedata.combining(char) in _LETTER_MARKS)


def _words(folded: str) -> str:
    """Return the words of a folded text, composed as they are written."""
    if _OTHER.search(folded):
        folded = "".join(
            [char if char.isalnum() or unicodedata.category(char) in ("Mn", "Mc") else " " for char in folded]
        )
    return unicodedata.normalize("NFC", " ".join(folded.split()))


def phonetic(text: str) -> str:
    """Return how a name sounds, roughly: the Soundex classes of its first word, first letter included.

    Classes are merged before they are compared, so that Dutch and French spellings of one sound meet (`Claes`, `Klaas`).
    The empty key is given for a text without Latin consonants.
    """
    words = normalise(text).split(" ", 1)
    coded = words[0].translate(_SOUNDS)
    kept = "".join([char for index, char in enumerate(coded) if index == 0 or char != coded[index - 1]])
    return _SILENT.sub("", kept)


def contact(text: str) -> str:
    """Return a telephone number as it is dialled (`+32 9 123.45.67` → `+3291234567`), an e-mail address in lower case."""
    if _PHONE.fullmatch(text):
        return _NOT_DIALLED.sub("", text)
    return text.lower() if "@" in text else text
