"""Slicing (R4 profiling.html#slicing): which slice an item belongs to, and whether slices are there as often as asked.

Discriminators may be of every type of R4. A discriminator that cannot tell the slices apart, because a slice says nothing at
its path, is an UnenforceableConstruct.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fhir_server.artifacts.r4 import child, is_choice
from fhir_server.validation.checks import Place, fail
from fhir_server.validation.differential import Part
from fhir_server.validation.finding import MAX_FINDINGS, Check, Findings, Scope, below, merged
from fhir_server.validation.targets import resolved, target_type
from fhir_server.validation.wording import say

_STEP = re.compile(r"(?:^|\.)(extension\('[^']+'\)|ofType\(\w+\)|resolve\(\)|\$this|\w+)")


class Item(NamedTuple):
    """An occurrence of an element: its step (`.code[1]`), its value, and its type where the element is a choice."""

    step: str
    value: Any
    kind: str = ""


Match = Callable[[Item, Scope], bool]


class Slice(NamedTuple):
    """A slice, compiled."""

    name: str
    low: int
    high: int | None
    match: Match
    check: Check | None
    url: str
    wanted: str


class Compiling(Protocol):
    """What slicing asks of the compiler of profiles."""

    def part_check(self, part: Part, definition: str) -> Check | None:
        """Return the check of an item of an element, None where nothing is said of it."""
        ...

    def profile_check(self, part: Part, url: str) -> Check:
        """Return the check of a profile of ours. Raises UnenforceableConstruct for any other."""
        ...


def sliced_check(
    place: Place, slicing: dict[str, Any], slices: Sequence[Slice]
) -> Callable[[list[Item], Scope], Findings]:
    """Return the check of all items of a sliced element; the findings about absent slices belong to its parent."""
    rules, ordered = slicing.get("rules", "open"), slicing.get("ordered", False)
    names = ", ".join(one.name for one in slices)

    slice_of = _assignment(slices)

    def check(items: list[Item], scope: Scope) -> Findings:
        found: Findings = None
        counts = [0] * len(slices)
        latest, unnamed = -1, False
        for item in items:
            index = slice_of(item, scope)
            if index < 0:
                unnamed = True
                found = merged(found, _unknown(place, names, item.step) if rules == "closed" else None)
                continue
            one = slices[index]
            counts[index] += 1
            if one.high is not None and counts[index] == one.high + 1:
                total = sum(slice_of(other, scope) == index for other in items)
                found = merged(found, _too_many(place, one, total, item.step))
            if ordered and index < latest:
                text = say("slice-order", path=place.path, slice=one.name, profile=place.profile, slices=names)
                found = merged(found, fail("slice-order", "structure", text, item.step))
            if unnamed and rules == "openAtEnd":
                text = say("slice-end", path=place.path, slice=one.name, profile=place.profile)
                found = merged(found, fail("slice-order", "structure", text, item.step))
            latest = max(latest, index)
            if one.check and (fault := one.check(item.value, scope)):
                found = merged(found, below(item.step, fault))
                if found and len(found) > MAX_FINDINGS:
                    return found
        return merged(found, _too_few(place, slices, counts))

    return check


def _assignment(slices: Sequence[Slice]) -> Callable[[Item, Scope], int]:
    """Return what tells the index of the slice that an item belongs to, -1 for none."""
    by_url = {one.url: index for index, one in enumerate(slices)} if all(one.url for one in slices) else None

    def slice_of(item: Item, scope: Scope) -> int:
        if by_url is not None:
            url = item.value.get("url") if type(item.value) is dict else None
            return by_url.get(url, -1) if type(url) is str else -1
        return next((index for index, one in enumerate(slices) if one.match(item, scope)), -1)

    return slice_of


def _unknown(place: Place, names: str, step: str) -> Findings:
    text = say("slice-closed", path=place.path, profile=place.profile, slices=names)
    return fail("slice-closed", "structure", text, step)


def _too_many(place: Place, one: Slice, total: int, step: str) -> Findings:
    text = say("slice-max", path=place.path, count=total, slice=one.name, profile=place.profile, high=one.high)
    return fail("slice-max", "structure", text, step)


def _too_few(place: Place, slices: Sequence[Slice], counts: list[int]) -> Findings:
    found: Findings = None
    for one, count in zip(slices, counts, strict=True):
        if count < one.low:
            text = say(
                "slice-min", path=place.path, count=count, slice=one.name, profile=place.profile, low=one.low,
                wanted=one.wanted,
            )  # fmt: skip
            found = merged(found, fail("slice-min", "required", text))
    return found


def matcher(compiler: Compiling, part: Part, discriminators: Sequence[dict[str, str]], definition: str) -> Match:
    """Return what tells whether an item belongs to a slice. Raises UnenforceableConstruct."""
    matches = [_one(compiler, part, rule["type"], rule["path"], definition) for rule in discriminators]
    if not matches:
        raise part.refuse("its slicing has no discriminator.")
    return lambda item, scope: all(match(item, scope) for match in matches)


def _one(compiler: Compiling, part: Part, kind: str, path: str, definition: str) -> Match:
    steps = tuple(_STEP.findall(path))
    if "".join(steps) != path.replace(".", "").replace(" ", "") and not _joined(steps, path):
        raise part.refuse(f"the discriminator {path} cannot be read.")
    steps = tuple(step for step in steps if step != "$this")
    if kind == "exists":
        return _exists(part, steps, definition)
    target, place = _find(part, steps, definition)
    if kind in ("value", "pattern"):
        if not _decisive(target):
            raise part.refuse(f"the slice says no value at its discriminator {path}.")
        check = compiler.part_check(target, place)
        if check is None:
            raise part.refuse(f"the slice says no value at its discriminator {path}.")
        decides = check
        return lambda item, scope: any(
            _passes(decides, value, scope) for value in values(item.value, steps, definition, scope)
        )
    if kind == "type":
        codes = frozenset(_types(target, steps))
        if not codes:
            raise part.refuse(f"the slice names no type at its discriminator {path}.")
        return lambda item, scope: any(kind in codes for kind in _kinds(item, steps, definition, scope))
    if kind == "profile":
        urls = [
            url
            for one in target.rules.get("type", ())
            for url in (*one.get("profile", ()), *one.get("targetProfile", ()))
        ]
        checks = [compiler.profile_check(target, url) for url in urls]
        if not checks:
            raise part.refuse(f"the slice names no profile at its discriminator {path}.")
        return lambda item, scope: any(
            _passes(check, value, scope) for value in values(item.value, steps, definition, scope) for check in checks
        )
    raise part.refuse(f"discriminators of type {kind!r} are not known.")


def _joined(steps: tuple[str, ...], path: str) -> bool:
    return ".".join(steps) == path


def _passes(check: Check, value: Any, scope: Scope) -> bool:
    return not any(fault.severity == "error" for fault in check(value, scope) or ())


def _exists(part: Part, steps: tuple[str, ...], definition: str) -> Match:
    target, _ = _find(part, steps, definition)
    if target.high == 0:
        return lambda item, scope: not values(item.value, steps, definition, scope)
    if target.low > 0:
        return lambda item, scope: bool(values(item.value, steps, definition, scope))
    raise part.refuse("the slice neither asks nor forbids what its discriminator looks for.")


def _find(part: Part, steps: tuple[str, ...], definition: str) -> tuple[Part, str]:
    """Return the part of the slice at a path, and the definition that its children are in."""
    for step in steps:
        if step.startswith("ofType("):
            definition = step[len("ofType(") : -1]
            continue
        if step == "resolve()":
            continue
        name = "extension" if step.startswith("extension(") else step
        found = part.children.get(name) or part.children.get(f"{name}[x]")
        if found is None:
            raise part.refuse(f"the slice says nothing at {step}, which its discriminator looks at.")
        definition = _below(definition, name)
        part = found
        if len(part.codes) == 1:
            definition = part.codes[0]
        if step.startswith("extension("):
            url = step[len("extension('") : -len("')")]
            part = next((one for one in part.slices.values() if _canonical(one) == url), part)
    return part, definition


def _canonical(part: Part) -> str:
    return next((url for kind in part.rules.get("type", ()) for url in kind.get("profile", ())), "")


def _decisive(part: Part) -> bool:
    return (
        part.value("fixed") is not None
        or part.value("pattern") is not None
        or part.rules.get("binding", {}).get("strength") == "required"
        or any(_decisive(below_it) for below_it in part.children.values())
    )


def _types(part: Part, steps: tuple[str, ...]) -> list[str]:
    if "resolve()" in steps:
        targets = [url for kind in part.rules.get("type", ()) for url in kind.get("targetProfile", ())]
        return [url.rpartition("/")[2] for url in targets]
    return list(part.codes)


def _kinds(item: Item, steps: tuple[str, ...], definition: str, scope: Scope) -> list[str]:
    if not steps:
        return [item.kind or _resource_type(item.value)]
    if steps[-1] == "resolve()":
        found = values(item.value, steps[:-1], definition, scope)
        texts = [value.get("reference") for value in found if isinstance(value, dict)]
        return [target_type(text, scope) for text in texts if isinstance(text, str)]
    owners = [item.value] if len(steps) == 1 else values(item.value, steps[:-1], definition, scope)
    for step in steps[:-1]:
        definition = _below(definition, step)
    return [kind for owner in owners for kind in _member_kinds(owner, steps[-1], definition)]


def _member_kinds(owner: Any, name: str, definition: str) -> list[str]:
    if not isinstance(owner, dict):
        return []
    if name in owner:
        return [_resource_type(owner[name])]
    facts = child(definition, name) if definition else None
    return [kind for form, kind in facts.json_names if form in owner] if facts and facts.choice else []


def _resource_type(value: Any) -> str:
    return str(value.get("resourceType", "")) if isinstance(value, dict) else ""


def values(value: Any, steps: tuple[str, ...], definition: str, scope: Scope) -> list[Any]:
    """Return what is at a discriminator's path below a value."""
    found = [value]
    for step in steps:
        if step == "resolve()":
            texts = [one.get("reference") for one in found if isinstance(one, dict)]
            found = [target for text in texts if isinstance(text, str) and (target := resolved(text, scope))]
        elif step.startswith("extension("):
            url = step[len("extension('") : -len("')")]
            found = [one for one in _members(found, "extension", "") if isinstance(one, dict) and one.get("url") == url]
        elif not step.startswith("ofType("):
            found = _members(found, step, definition)
        definition = _below(definition, step)
    return found


def _below(definition: str, step: str) -> str:
    """Return what defines the children of an element, "" where that is not one thing."""
    facts = child(definition, step) if definition else None
    return (facts.content or (facts.types[0] if len(facts.types) == 1 else "")) if facts else ""


def _members(owners: list[Any], name: str, definition: str) -> list[Any]:
    found: list[Any] = []
    forms = [name]
    if definition and is_choice(definition, name):
        facts = child(definition, name)
        forms = [form for form, _ in facts.json_names] if facts else forms
    for owner in owners:
        for form in forms if isinstance(owner, dict) else ():
            value = owner.get(form)
            found += value if isinstance(value, list) else [] if value is None else [value]
    return found
