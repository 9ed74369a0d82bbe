"""What a StructureDefinition says of its elements, as a tree: enough to put answers in and to fill in what it fixes.

A snapshot is read as it is. A profile that has only a differential is laid over those that it is derived from.
"""

from collections.abc import Callable
from typing import Any, Final

from fhir_server.artifacts import r4
from fhir_server.model.errors import RuleViolated
from fhir_server.model.resource import Resource

BASE: Final = "http://hl7.org/fhir/StructureDefinition/"
Definitions = Callable[[str], Resource | None]
"""canonical → the StructureDefinition that is known here under it."""
_DEEPEST: Final = 16


class Shape:
    """An element of a profile: what is said of it (`rules`), the elements below it, and its slices, all by name."""

    __slots__ = ("below", "rules", "slices")

    def __init__(self) -> None:
        self.rules: dict[str, Any] = {}
        self.below: dict[str, Shape] = {}
        self.slices: dict[str, Shape] = {}

    @property
    def low(self) -> int:
        """The least number of occurrences, 0 when nothing is said."""
        return int(self.rules.get("min", 0))

    @property
    def high(self) -> int | None:
        """The largest number of occurrences, None when nothing is said or it is unbounded."""
        text = str(self.rules.get("max", "*"))
        return None if text == "*" else int(text)

    @property
    def types(self) -> tuple[str, ...]:
        """The types that are allowed, empty when nothing is said."""
        return tuple(str(one["code"]) for one in self.rules.get("type", ()) if "code" in one)

    @property
    def of_type(self) -> str:
        """The profile of its type (the definition of an extension), "" when none or several are named."""
        found = [url for one in self.rules.get("type", ()) for url in one.get("profile", ())]
        return str(found[0]) if len(found) == 1 else ""

    @property
    def targets(self) -> frozenset[str]:
        """The last steps of the profiles that a reference may point at, empty when nothing is said."""
        found = (url for one in self.rules.get("type", ()) for url in one.get("targetProfile", ()))
        return frozenset(str(url).partition("|")[0] for url in found)

    def settled(self) -> tuple[str, Any, bool] | None:
        """Return (type, value, whether exactly so) of `fixed[x]` or `pattern[x]`, None when there is none."""
        for member, value in self.rules.items():
            for stem in ("fixed", "pattern"):
                if member.startswith(stem) and member[len(stem) : len(stem) + 1].isupper():
                    return member[len(stem) :], value, stem == "fixed"
        return None


def type_of(canonical: str) -> str:
    """Return the resource type of a canonical of R4 itself, "" for any other."""
    url = canonical.partition("|")[0]
    name = url.removeprefix(BASE)
    return name if url.startswith(BASE) and r4.is_resource_type(name) else ""


def read_shape(canonical: str, definitions: Definitions, place: str) -> tuple[str, Shape]:
    """Return the type that a StructureDefinition constrains, and its root; for R4's own types an empty root.

    Raises RuleViolated (at `place`) for one that is not known here, or is no profile of a type of R4.
    """
    base = type_of(canonical)
    if base:
        return base, Shape()
    root = Shape()
    lineage = _lineage(canonical, definitions, place)
    for definition in lineage:
        view = definition.get("snapshot") or definition.get("differential") or {}
        for element in view.get("element", ()):
            _lay(root, element)
    return str(lineage[-1]["type"]), root


def _lineage(canonical: str, definitions: Definitions, place: str) -> list[Resource]:
    """Return a profile and those whose differentials it rests on, the furthest first."""
    found: list[Resource] = []
    url = canonical
    while len(found) < _DEEPEST:
        one = definitions(url)
        if one is None:
            said = f"The profile {canonical!r}" + ("" if url == canonical else f" rests on {url!r}, which")
            raise RuleViolated(
                f"{said} is not known here. Store its StructureDefinition first, or name a type of R4 as {BASE}[type].",
                key="form-definition",
                code="not-found",
                expression=place,
            )
        kind, type_ = one.get("kind"), str(one.get("type", ""))
        if kind not in ("resource", "complex-type") or r4.structure(type_) is None:
            raise RuleViolated(
                f"{url!r} defines a {kind or 'structure'} of its own. Extraction into profiles of the types of R4 is offered.",
                key="form-extraction-kind",
                code="not-supported",
                expression=place,
            )
        found.insert(0, one)
        url = str(one.get("baseDefinition", ""))
        if "snapshot" in one or url.removeprefix(BASE) == type_ or one.get("derivation") != "constraint":
            return found
    raise RuleViolated(
        f"The profile {canonical!r} is derived from itself.", key="form-definition", code="invalid", expression=place
    )


def _lay(root: Shape, element: Resource) -> None:
    """Lay what an ElementDefinition says over what is known of its element already."""
    part = root
    for step in str(element.get("id") or element.get("path", "")).split(".")[1:]:
        name, _, sliced = step.partition(":")
        part = part.below.setdefault(name.removesuffix("[x]"), Shape())
        if sliced:
            part = part.slices.setdefault(sliced, Shape())
    part.rules.update(element)
