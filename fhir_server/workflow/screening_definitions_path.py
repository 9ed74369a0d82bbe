"""Where `[canonical]#[element id]` leads: the steps from a resource to one of its elements.

An id may walk on into the types of the elements (`Patient.name.given`); a slice is one that the profile names (`Patient.name:official`),
or a form of a choice (`value[x]:valueQuantity`, also `valueQuantity`).
"""

from difflib import get_close_matches
from typing import Final, NamedTuple

from fhir_server.artifacts import r4
from fhir_server.artifacts.r4 import ElementFacts
from fhir_server.model.errors import RuleViolated
from fhir_server.workflow.screening_definitions_profile import Definitions, Shape, read_shape

_ABSTRACT: Final = frozenset({"Resource", "xhtml"})


class Step(NamedTuple):
    """One element on the way. `key` is the id so far; `types` what it may be there; `over` the type or backbone it stands in."""

    key: str
    facts: ElementFacts
    slice: str
    types: tuple[str, ...]
    shape: Shape
    over: str

    @property
    def stem(self) -> str:
        """Its name, of a choice without type."""
        return self.facts.path.rpartition(".")[2].removesuffix("[x]")

    @property
    def many(self) -> bool:
        """Whether it may stand there several times; JSON may write an array all the same."""
        return self.facts.many and self.shape.high != 1

    @property
    def content(self) -> str:
        """The type or backbone that holds what is below it, "" while it has several forms."""
        return self.facts.content or (self.types[0] if len(self.types) == 1 else "")

    def member(self, kind: str) -> str:
        """Return its name in JSON when it is of a type."""
        choice = self.facts.path.endswith("[x]")
        return self.stem + kind[0].upper() + kind[1:] if choice else self.facts.name


class Target(NamedTuple):
    """An element that is filled, and the steps to it from the resource."""

    text: str
    steps: tuple[Step, ...]

    @property
    def leaf(self) -> Step:
        """The element itself."""
        return self.steps[-1]

    @property
    def id(self) -> str:
        """The id of the element, with its slices."""
        return self.leaf.key


class Way(NamedTuple):
    """What a path is read against: the canonical it begins with, the type it constrains, its root, and other definitions."""

    canonical: str
    type: str
    root: Shape
    definitions: Definitions

    def target(self, text: str, place: str) -> Target:
        """Return the element that `[canonical]#[element id]` names. Raises RuleViolated (at `place`) where it leads nowhere."""
        names = text.partition("#")[2].split(".")
        if names[0] != self.type or len(names) == 1:
            raise _wrong(
                f"{text!r} names no element of {self.type}: write {self.canonical}#{self.type}.[element].", place
            )
        steps: list[Step] = []
        over, shape = self.type, self.root
        for name in names[1:]:
            key = f"{steps[-1].key if steps else self.type}.{name}"
            if not over or over in _ABSTRACT:
                raise _many_forms(steps[-1], text, place)
            step = self._step(over, shape, name, key, place)
            steps.append(step)
            over, shape = step.content, step.shape
        if steps[-1].types and steps[-1].types[0] in _ABSTRACT:
            raise _not_offered(f"{text!r} is a resource or a narrative of its own", place)
        return Target(text, tuple(steps))

    def _step(self, over: str, shape: Shape, name: str, key: str, place: str) -> Step:
        plain, _, sliced = name.partition(":")
        facts = r4.child(over, plain.removesuffix("[x]"))
        if facts is None:
            known = r4.structure(over)
            near = get_close_matches(plain, [one.name for one in known.elements] if known else [], 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise _wrong(f"R4 has no element {plain[:60]!r} in {over}.{hint}", place)
        stem = facts.path.rpartition(".")[2].removesuffix("[x]")
        own = shape.below.get(stem, Shape())
        types = tuple(one for one in facts.types if one in own.types) or facts.types
        if facts.name != stem:  # a form of a choice by its name in JSON
            own = shape.below.get(facts.name) or own.slices.get(facts.name) or Shape()
        form = {member: kind for kind in facts.types for member in (stem + kind[0].upper() + kind[1:],)}
        if sliced in form and facts.choice:
            types, own = (form[sliced],), own.slices.get(sliced) or shape.below.get(sliced) or Shape()
        elif sliced:
            own = self._slice(own, sliced, key, place)
            types = tuple(one for one in types if one in own.types) or types
        form_name = sliced or (facts.name if facts.name != stem else "")
        whole = facts.path.rpartition(".")[2]
        key = f"{key.removesuffix(name)}{whole}{f':{form_name}' if form_name else ''}"
        if own.high == 0:
            raise _wrong(f"{self.canonical} leaves no {key}.", place)
        return Step(key, facts, sliced, types, own, over)

    def _slice(self, own: Shape, sliced: str, key: str, place: str) -> Shape:
        if "/" in sliced:
            raise _not_offered(f"A slice within a slice ({key!r})", place)
        found = own.slices.get(sliced)
        if found is None:
            names = ", ".join(own.slices)
            said = f"it has {names}" if names else "it slices nothing there; name a profile that does"
            raise _wrong(f"{self.canonical} has no slice {sliced[:60]!r} at {key.rpartition(':')[0]}: {said}.", place)
        return with_its_definition(found, self.definitions, place)


def with_its_definition(found: Shape, definitions: Definitions, place: str) -> Shape:
    """Return a slice with what the definition of its extension says, where it names one."""
    if found.types != ("Extension",) or not found.of_type:
        return found
    _, defined = read_shape(found.of_type, definitions, place)
    joined = Shape()
    joined.rules, joined.slices = found.rules, defined.slices
    joined.below = {**defined.below, **found.below}
    if "url" not in joined.below:
        joined.below["url"] = Shape()
    joined.below["url"].rules.setdefault("fixedUri", found.of_type.partition("|")[0])
    return joined


def _wrong(text: str, place: str) -> RuleViolated:
    return RuleViolated(text, key="form-definition", code="not-found", expression=place)


def _not_offered(what: str, place: str) -> RuleViolated:
    return RuleViolated(
        f"{what}: extraction into it is not offered.",
        key="form-extraction-kind",
        code="not-supported",
        expression=place,
    )


def _many_forms(step: Step, text: str, place: str) -> RuleViolated:
    if not step.types or step.types[0] in _ABSTRACT:
        return _not_offered(f"{text!r} leads into a resource or a narrative", place)
    forms = ", ".join(step.member(kind) for kind in step.types[:8])
    return _wrong(f"{step.key} has several forms; say which is meant in {text!r}: {forms}.", place)
