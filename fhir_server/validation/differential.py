"""The differential of a profile as a tree, with the differentials of the profiles that it is derived from laid below it.

Element ids lead the way (R4 elementdefinition.html#id): `Task.output:feedback.value[x]` is the element `value[x]` below
the slice `feedback` of `output`.
"""

from collections.abc import Mapping
from typing import Any, Final

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.resource import Resource

_DESCRIBING: Final = frozenset(
    {
        "id", "path", "short", "definition", "comment", "requirements", "alias", "code", "label", "example", "mapping",
        "base", "mustSupport", "isModifier", "isModifierReason", "isSummary", "representation", "condition",
        "meaningWhenMissing", "orderMeaning", "extension", "sliceIsConstraining",
    }
)  # fmt: skip
"""What an ElementDefinition says to people; nothing in an instance can break it."""
_ENFORCED: Final = frozenset({"sliceName", "slicing", "min", "max", "type", "binding", "constraint", "maxLength"})
_VALUES: Final = ("fixed", "pattern", "minValue", "maxValue")
_MAX_DEPTH: Final = 16


class UnenforceableConstruct(Exception):
    """A profile says something that this server cannot check: it is refused, never ignored.

    `profile` is its canonical, `path` the id of the element (or `StructureDefinition.context`), `reason` what is in the way.
    """

    def __init__(self, profile: str, path: str, reason: str) -> None:
        super().__init__(f"{profile}: {path}: {reason}")
        self.profile = profile
        self.path = path
        self.reason = reason


class Part:
    """An element of a profile: what is said of it (`rules`), the elements below it, and its slices by name."""

    __slots__ = ("children", "id", "name", "profile", "rules", "slices")

    def __init__(self, profile: str, element_id: str, name: str) -> None:
        self.profile = profile
        self.id = element_id
        self.name = name
        self.rules: dict[str, Any] = {}
        self.children: dict[str, Part] = {}
        self.slices: dict[str, Part] = {}

    @property
    def low(self) -> int:
        """The least number of occurrences that the profile asks; 0 when it says nothing."""
        return int(self.rules.get("min", 0))

    @property
    def high(self) -> int | None:
        """The largest number of occurrences that the profile allows; None when it says nothing, or `*`."""
        text = self.rules.get("max", "*")
        return None if text == "*" else int(text)

    @property
    def codes(self) -> tuple[str, ...]:
        """The types that the profile allows; empty when it says nothing."""
        return tuple(kind["code"] for kind in self.rules.get("type", ()))

    def value(self, stem: str) -> tuple[str, Any] | None:
        """Return (member, value) of `fixed[x]`, `pattern[x]`, `minValue[x]` or `maxValue[x]`, None when absent."""
        for member, value in self.rules.items():
            if member.startswith(stem) and member[len(stem) : len(stem) + 1].isupper():
                return member, value
        return None

    def refuse(self, reason: str) -> UnenforceableConstruct:
        """Return the error for something here that cannot be checked."""
        return UnenforceableConstruct(self.profile, self.id, reason)


def read_tree(definition: Resource, catalog: Catalog) -> Part:
    """Return the root of a profile. Raises UnenforceableConstruct for what cannot be read."""
    url: str = definition["url"]
    root = Part(url, definition["type"], definition["type"])
    for ancestor in _lineage(definition, catalog):
        for element in ancestor.get("differential", {}).get("element", ()):
            part = _part(root, element)
            _lay(part, element)
    return root


def _lineage(definition: Resource, catalog: Catalog) -> list[Resource]:
    """Return the profile and those of ours that it is derived from, the furthest ancestor first."""
    found = [definition]
    while len(found) <= _MAX_DEPTH:
        parent = catalog.get("StructureDefinition", str(found[0].get("baseDefinition", "")))
        if parent is None or parent.get("derivation") != "constraint":
            base = str(found[0].get("baseDefinition", ""))
            if base != f"http://hl7.org/fhir/StructureDefinition/{definition['type']}":
                raise UnenforceableConstruct(
                    definition["url"], "StructureDefinition.baseDefinition", f"{base} is not loaded."
                )
            return found
        if parent["type"] != definition["type"]:
            raise UnenforceableConstruct(
                definition["url"], "StructureDefinition.baseDefinition", "its base is for another type."
            )
        found.insert(0, parent)
    raise UnenforceableConstruct(definition["url"], "StructureDefinition.baseDefinition", "it is derived from itself.")


def _part(root: Part, element: Resource) -> Part:
    element_id = str(element.get("id") or element["path"])
    steps = element_id.split(".")
    if steps[0] != root.name:
        raise UnenforceableConstruct(root.profile, element_id, f"the element is not below {root.name}.")
    part, walked = root, steps[0]
    for step in steps[1:]:
        name, _, slice_name = step.partition(":")
        walked = f"{walked}.{name}"
        part = part.children.setdefault(name, Part(root.profile, walked, name))
        if slice_name:
            if "/" in slice_name or slice_name.startswith("@"):
                raise UnenforceableConstruct(root.profile, element_id, "slices of slices and @default are not read.")
            walked = f"{walked}:{slice_name}"
            part = part.slices.setdefault(slice_name, Part(root.profile, walked, name))
    return part


def _lay(part: Part, element: Mapping[str, Any]) -> None:
    """Lay what a differential says over what its ancestors said; numbers can only get narrower."""
    for member, value in element.items():
        if member in _DESCRIBING or member.startswith(("_", "example")):
            if member == "mustSupport" and value is True:
                part.rules["mustSupport"] = True
        elif member == "constraint":
            part.rules["constraint"] = [*part.rules.get("constraint", ()), *value]
        elif member == "min":
            part.rules["min"] = max(part.low, int(value))
        elif member == "max":
            known = part.high
            part.rules["max"] = value if known is None or (value != "*" and int(value) < known) else str(known)
        elif member in _ENFORCED or _is_value(member):
            part.rules[member] = value
        else:
            raise part.refuse(f"{member} is not enforced.")


def _is_value(member: str) -> bool:
    return any(member.startswith(stem) and member[len(stem) : len(stem) + 1].isupper() for stem in _VALUES)
