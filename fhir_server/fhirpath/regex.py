r"""Regular expressions that cannot run away.

Python's engine backtracks, so a pattern is read before it is used. Refused: look-around, back references, possessive and
named groups, and a repeated group with a repetition inside, unless each round of it must begin with a character that
what repeats inside cannot eat (`(\.[a-z]+)*` is fine, `(a+)*` is not). What remains is polynomial: its degree is
counted, and the length of the text is limited by it.
"""

import re
from dataclasses import dataclass
from typing import Final

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.model.errors import TooCostly

MAX_TEXT: Final = 10_000
"""Characters of a text that a simple pattern is matched against."""
MAX_RESULT: Final = 10_000_000
"""Characters that replacing may make."""
_WORK: Final = 200_000_000
_MAX_PATTERN: Final = 1_000
_MAX_GROUPS: Final = 30
_MANY: Final = 10
"""A repetition that may go further than this counts as unbounded."""
_QUANTIFIER: Final = re.compile(r"(?:[*+?]|\{(\d*)(,?)(\d*)\})[?+]?")
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_GROUP_REFERENCE: Final = re.compile(r"\$(\d)")


@dataclass(frozen=True, slots=True)
class Atom:
    """One element of a pattern: `source` matches one character, or `branches` are the alternatives of a group."""

    source: str
    branches: "tuple[tuple[Atom, ...], ...]"
    least: int
    most: int

    @property
    def repeats(self) -> bool:
        """Tell whether the number of rounds is open."""
        return self.most > _MANY

    def eats(self, letter: str) -> bool:
        """Tell whether the element may consume a character."""
        if self.branches:
            return any(atom.eats(letter) for branch in self.branches for atom in branch)
        return self.source not in ("^", "$", r"\b", r"\B") and re.fullmatch(self.source, letter, re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Regex:
    """A pattern that was found safe, and the longest text that it may be used on."""

    pattern: re.Pattern[str]
    longest: int

    def _check(self, text: str) -> str:
        if len(text) > self.longest:
            raise TooCostly(
                f"The pattern {self.pattern.pattern!r} takes texts up to {self.longest} characters; this one has "
                f"{len(text)}. Anchor the pattern or use fewer open repetitions."
            )
        return text

    def found_in(self, text: str) -> bool:
        """Tell whether the pattern is found anywhere in the text; `.` takes line ends too. Raises TooCostly."""
        return self.pattern.search(self._check(text)) is not None

    def replaced(self, text: str, substitution: str) -> str:
        """Replace each match; `$1` stands for a group, and an empty pattern changes nothing.

        Raises TooCostly, and FhirPathError on an unknown group.
        """
        if not self.pattern.pattern:
            return text
        pieces = _GROUP_REFERENCE.split(substitution)  # literal, group, literal, group … literal
        groups = [self._group(substitution, name) for name in pieces[1::2]]
        fixed, length = sum(map(len, pieces[::2])), 0

        def expanded(match: re.Match[str]) -> str:
            nonlocal length
            length += fixed + len(groups) * (len(match[0]) + 1)  # at most so much: a group lies in its match
            if length > MAX_RESULT:
                raise TooCostly(
                    f"Replacing {self.pattern.pattern!r} makes a text of more than {MAX_RESULT} characters."
                )
            found = list(pieces)
            found[1::2] = [match[group] or "" for group in groups]
            return "".join(found)

        return self.pattern.sub(expanded, self._check(text))

    def _group(self, substitution: str, name: str) -> int:
        if not name.isdecimal() or int(name) > self.pattern.groups:
            raise FhirPathError(f"The substitution {substitution[:200]!r} names a group that is not there.")
        return int(name)


def compile_regex(pattern: str) -> Regex:
    """Read, judge and compile a pattern. Raises FhirPathError that says what cannot be taken."""
    if len(pattern) > _MAX_PATTERN or pattern.count("(") > _MAX_GROUPS:
        raise FhirPathError(f"A pattern of {len(pattern)} characters is too large. Shorten it.")
    try:
        compiled = re.compile(pattern, re.DOTALL)
    except (re.error, OverflowError) as error:
        raise FhirPathError(f"{pattern!r} is not a regular expression: {error}.") from error
    branches = _Reader(pattern).read()
    degree = 1 + max(_degree(branch, pattern) for branch in branches)
    return Regex(compiled, min(MAX_TEXT, int(_WORK ** (1 / degree))))


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> tuple[tuple[Atom, ...], ...]:
        """Read alternatives up to the end or the closing bracket."""
        branches: list[tuple[Atom, ...]] = []
        atoms: list[Atom] = []
        while self._at < len(self._pattern) and self._pattern[self._at] != ")":
            if self._pattern[self._at] == "|":
                self._at += 1
                branches.append(tuple(atoms))
                atoms = []
            else:
                atoms.append(self._atom())
        branches.append(tuple(atoms))
        return tuple(branches)

    def _atom(self) -> Atom:
        letter = self._pattern[self._at]
        if letter == "(":
            inner = self._group()
            return Atom("", inner, *self._quantifier())
        if letter == "[":
            source = self._match(_CLASS)
        elif letter == "\\":
            source = self._match(_ESCAPE)
            if source[1] in "123456789kpPGzZ":
                raise self._refuse(f"{source} is not taken")
        else:
            source = letter if letter in "^$." else re.escape(letter)
            self._at += 1
        return Atom(source, (), *self._quantifier())

    def _group(self) -> tuple[tuple[Atom, ...], ...]:
        self._at += 1
        if self._pattern.startswith("?", self._at):
            if not self._pattern.startswith("?:", self._at):
                raise self._refuse("only plain groups and (?:…) are taken")
            self._at += 2
        inner = self.read()
        self._at += 1
        return inner

    def _match(self, form: re.Pattern[str]) -> str:
        match = form.match(self._pattern, self._at)
        if match is None:
            raise self._refuse("it ends too early")
        self._at = match.end()
        return match[0]

    def _quantifier(self) -> tuple[int, int]:
        match = _QUANTIFIER.match(self._pattern, self._at)
        if match is None or match[0] in ("{}", "{,}"):
            return 1, 1
        self._at = match.end()
        if match[0][-1] == "+" and len(match[0]) > 1:
            raise self._refuse("possessive quantifiers are not taken")
        if match[0][0] != "{":
            return int(match[0][0] == "+"), 1 if match[0][0] == "?" else MAX_TEXT
        least = int(match[1] or 0)
        return least, int(match[3] or MAX_TEXT) if match[2] else least

    def _refuse(self, problem: str) -> FhirPathError:
        return FhirPathError(f"The pattern {self._pattern!r} cannot be used: {problem}.")


def _degree(atoms: tuple[Atom, ...], pattern: str) -> int:
    """Count the repetitions of a sequence that can trade characters with what follows them."""
    degree = 0
    for place, atom in enumerate(atoms):
        if atom.branches:
            degree += max(_degree(branch, pattern) for branch in atom.branches)
            if atom.repeats:
                _check_rounds(atom, pattern)
        if atom.repeats and not _is_fenced(atom, atoms[place + 1 :]):
            degree += 1
    return degree


def _is_fenced(atom: Atom, following: tuple[Atom, ...]) -> bool:
    """Tell whether a repetition ends at the end of the sequence, or at one character that it cannot eat."""
    if not following or following[0].source == "$":
        return True
    letter = _literal(following[0])
    return letter is not None and not atom.eats(letter)


def _literal(atom: Atom) -> str | None:
    """Return the one character that an element must consume, where it is one."""
    if atom.branches or atom.least == 0 or atom.source in ("^", "$", "."):
        return None
    if len(atom.source) == 1:
        return atom.source
    return atom.source[1] if len(atom.source) == 2 and not atom.source[1].isalnum() else None  # noqa: PLR2004  # `\.`


def _check_rounds(group: Atom, pattern: str) -> None:
    """Refuse a repeated group whose rounds can be divided in more than one way."""
    fixed = not any(_varies(atom) for branch in group.branches for atom in branch)
    if fixed and len(group.branches) == 1:
        return
    short = fixed and all(len(branch) == 1 for branch in group.branches)
    for place, branch in enumerate(group.branches):
        others = [atom for other in group.branches[:place] + group.branches[place + 1 :] for atom in other]
        letter = _literal(branch[0]) if branch and branch[0].most == 1 else None
        if letter is not None and not any(atom.eats(letter) for atom in (*others, *branch[1:])):
            continue
        if short and letter is None and all(_literal(atom) is not None for atom in others):
            continue  # a class beside letters of its own, each of which was or will be checked against it
        raise FhirPathError(
            f"The pattern {pattern!r} repeats a group that repeats inside or offers a choice, which can take for ever. "
            "Let each round begin with a character of its own."
        )


def _varies(atom: Atom) -> bool:
    return atom.least != atom.most or any(_varies(inner) for branch in atom.branches for inner in branch)
