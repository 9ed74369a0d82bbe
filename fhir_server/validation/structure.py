"""Checks an object against the table of its definition: name in JSON → check of the member.

The members are walked once, so unknown elements, shapes, values and children are judged in one pass; then what is
missing, what is there twice, and the invariants.
"""

from typing import Any

from fhir_server.validation.finding import (
    MAX_FINDINGS,
    Check,
    Finding,
    Findings,
    Scope,
    below,
    kind_of,
    merged,
    one,
    shown,
    wrong_shape,
)
from fhir_server.validation.invariants import Rule
from fhir_server.validation.wording import rule_text, say


class Members:
    """The table of one definition, filled while its type is compiled and not changed afterwards."""

    __slots__ = (
        "checks",
        "choices",
        "least",
        "local_rules",
        "path",
        "plain",
        "required",
        "required_choices",
        "rules",
        "steps",
        "whole",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self.checks: dict[str, Check] = {}
        self.steps: dict[str, str] = {}
        self.required: frozenset[str] = frozenset()
        self.required_choices: dict[str, frozenset[str]] = {}
        self.choices: dict[str, str] = {}
        self.rules: tuple[Rule, ...] = ()
        self.local_rules: tuple[Rule, ...] = ()  # those that do not judge contained resources
        self.whole = False  # a resource: it may consist of nothing but its type
        self.plain = False  # nothing is required, chosen or ruled here: once the members are right, all is
        self.least = 1  # members that an object has before two forms of a choice can be among them

    def complete(self) -> None:
        """Note what the table, now filled, leaves to be checked."""
        self.least = 1 + len(self.required)
        self.local_rules = tuple(rule for rule in self.rules if not rule.key.startswith("dom-"))
        self.plain = not (self.required or self.required_choices or self.choices or self.rules)


def object_check(members: Members) -> Check:
    """Return the check of an object; it reads the table at each call, so the table may be filled in later."""
    check_of = members.checks.get

    def check(value: Any, scope: Scope) -> Findings:
        if type(value) is not dict:
            return wrong_shape(value, "kind.object")
        found: Findings = None
        for name, member in value.items():
            member_check = check_of(name)
            if member_check is None:
                found = merged(found, _unknown(members, name, scope))
            elif (fault := member_check(member, scope)) and (fault := _settled(value, name, fault)):
                found = merged(found, below(members.steps[name], fault))
        if members.plain and (len(value) > 1 or (value and "id" not in value)):
            return found
        if not members.required <= value.keys() or members.required_choices:
            found = merged(found, _missing(members, value))
        if members.choices and (len(value) > members.least or found) and len(members.choices.keys() & value.keys()) > 1:
            found = merged(found, _chosen_twice(members, value))
        if len(value) < 2 and not members.whole and (not value or "id" in value):  # noqa: PLR2004  # nothing but an id
            return merged(found, _empty(value))
        rules = members.rules if "contained" in value else members.local_rules
        return judged(rules, value, scope, found) if rules else found

    return check


def judged(rules: tuple[Rule, ...], value: dict[str, Any], scope: Scope, found: Findings) -> Findings:
    """Add the invariants that the value breaks to what was found in it so far."""
    faulty = found is not None
    for key, human, holds in rules:
        try:
            verdict = holds(value, scope)
        except (TypeError, AttributeError, KeyError, IndexError, ValueError, ArithmeticError):
            if not faulty:
                raise
            continue  # the invariant met a value whose shape is already reported
        if verdict is not True:
            found = merged(found, one(key, "invariant", rule_text(key, human), verdict or ""))
    return found


def _unknown(members: Members, name: str, scope: Scope) -> Findings:
    forms = sorted(form for form, stem in members.choices.items() if stem == name and form[0] != "_")
    if forms:
        hint = say("hint.forms", forms=", ".join(forms[:5]) + (" …" if len(forms) > 5 else ""))  # noqa: PLR2004  # enough to see how
    else:
        near = scope.near(name, (known for known in members.checks if known[0] != "_" or name[:1] == "_"))
        hint = say("hint.near", near=f"{near!r}") if near else say("hint.or-extension")
    return one("unknown-element", "structure", say("unknown-element", name=shown(name), path=members.path, hint=hint))


def _settled(value: dict[str, Any], name: str, fault: list[Finding]) -> Findings:
    """Drop the nulls of an array of primitives that only keep a place for the same slot of the other array."""
    twin = value.get(name[1:] if name[0] == "_" else "_" + name)
    if not isinstance(twin, list):
        return fault
    kept = {f"[{index}]" for index, item in enumerate(twin) if item is not None}
    return [finding for finding in fault if finding.key != "json-null" or finding.path not in kept]


def _missing(members: Members, value: dict[str, Any]) -> Findings:
    found: Findings = None
    for name in sorted(members.required - value.keys()):
        if "_" + name not in value:
            found = merged(found, _absent(members.path, name, ""))
    for stem, forms in members.required_choices.items():
        if forms.isdisjoint(value):
            names = sorted(form for form in forms if form[0] != "_")
            forms_hint = say("hint.as", forms=", ".join(names[:8]))
            found = merged(found, _absent(members.path, f"{stem}[x]", forms_hint))
    return found


def _absent(path: str, name: str, forms: str) -> Findings:
    return one("cardinality-min", "required", say("cardinality-min", path=path, name=name, forms=forms))


def _chosen_twice(members: Members, value: dict[str, Any]) -> Findings:
    chosen: dict[str, set[str]] = {}
    for name in value:
        if stem := members.choices.get(name):
            chosen.setdefault(stem, set()).add(name.removeprefix("_"))
    found: Findings = None
    for stem, names in chosen.items():
        if len(names) > 1:
            text = say("choice-multiple", path=members.path, stem=stem, names=", ".join(sorted(names)))
            found = merged(found, one("choice-multiple", "structure", text))
    return found


def _empty(value: dict[str, Any]) -> Findings:
    if not value:
        return one("empty-object", "structure", say("empty-object"))
    return one("ele-1", "invariant", say("ele-1"))


def array_check(item: Check, *, primitive: bool = False) -> Check:
    """Return the check of an array whose items pass `item`; the findings of each carry its index."""
    wanted = "kind.array-of-values" if primitive else "kind.array-of-objects"

    def check(value: Any, scope: Scope) -> Findings:
        if type(value) is not list or not value:
            if value is None or isinstance(value, list):
                return wrong_shape(value, wanted)
            found_kind = kind_of(value) if isinstance(value, dict) else shown(value)
            return one("json-type", "structure", say("json-type.array", found=found_kind, wanted=say(wanted)))
        found: Findings = None
        for index, entry in enumerate(value):
            if fault := item(entry, scope):
                found = merged(found, below(f"[{index}]", fault))
                if found and len(found) > MAX_FINDINGS:
                    break  # enough is told, and a huge array costs no more
        return found

    return check
