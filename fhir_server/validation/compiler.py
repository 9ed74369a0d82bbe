"""Compiles the R4 facts of a type into one closure that checks a resource and everything below it.

Recursive types meet themselves in the tables, hence compiling ends. A definition is published only when everything that
it leads to is complete, so that threads never see half a table.
"""

from collections.abc import Mapping
from threading import RLock
from typing import Any

from fhir_server.artifacts.r4 import ElementFacts, is_primitive, is_resource_type, resource_types, structure
from fhir_server.validation.bindings import code_check, coded_check
from fhir_server.validation.finding import Check, Findings, Scope, merged, one, shown, wrong_shape
from fhir_server.validation.invariants import Rule, rules_of
from fhir_server.validation.narrative import check_narrative
from fhir_server.validation.primitives import primitive_checks
from fhir_server.validation.references import reference_check
from fhir_server.validation.structure import Members, array_check, judged, object_check
from fhir_server.validation.wording import say

_NOTHING: Mapping[str, str] = {}


class Compiler:
    """Compiles definitions on first use and keeps them. Safe to share between threads."""

    def __init__(self) -> None:
        self._primitives = primitive_checks() | {"xhtml": check_narrative}
        self._ready: dict[str, Check] = {}
        self._building: dict[str, Check] = {}
        self._lock = RLock()

    def resource(self, value: Any, outer: Scope) -> Findings:
        """Check a resource that stands on its own: the body, an entry of a Bundle, a parameter."""
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(kind, str) or not is_resource_type(kind):
            return _no_resource(value, kind, outer)
        entries = _full_urls(value) if kind == "Bundle" else outer.entries
        contained = _contained_types(value) if "contained" in value else _NOTHING
        return self._judge(kind, value, Scope(contained, entries, outer, value))

    def definition(self, path: str) -> Check:
        """Return the check of a type or backbone element, compiling it and all it leads to when it is new."""
        check = self._ready.get(path)
        if check is None:
            with self._lock:
                self._building = {}
                check = self._ready.get(path) or self._object(path)
                self._ready |= self._building
        return check

    def _object(self, path: str) -> Check:
        known = self._ready.get(path) or self._building.get(path)
        if known is not None:
            return known
        facts = structure(path)
        if facts is None:
            raise KeyError(path)
        members = Members(path)
        check = self._building[path] = object_check(members)
        members.whole = facts.kind.endswith("resource")
        members.rules = rules_of(path, facts.constraints)
        if members.whole:
            members.checks["resourceType"] = _accept
        for element in facts.elements:
            self._add(members, element)
        members.complete()
        return check

    def _add(self, members: Members, facts: ElementFacts) -> None:
        forms = facts.json_names
        for name, kind in forms:
            item = self._item(members, facts, kind)
            primitive = is_primitive(kind)
            members.checks[name] = array_check(item, primitive=primitive) if facts.many else item
            members.steps[name] = f".{facts.name}.ofType({kind})" if facts.choice else f".{name}"
            if primitive and _has_companion(members, facts):
                companion = self._companion(facts, kind)
                members.checks["_" + name] = array_check(companion) if facts.many else companion
                members.steps["_" + name] = members.steps[name]
        names = frozenset(name for name, _ in forms)
        if facts.choice:
            members.choices |= dict.fromkeys(names | {"_" + name for name in names}, facts.name)
        if facts.min and facts.choice:
            members.required_choices[facts.name] = names | {"_" + name for name in names}
        elif facts.min:
            members.required |= names

    def _companion(self, _facts: ElementFacts, _kind: str) -> Check:
        """Return the check of what stands beside a primitive: its id and extensions."""
        return self._object("Element")

    def _item(self, members: Members, facts: ElementFacts, kind: str) -> Check:
        if kind == "Resource":
            return self._contained if facts.name == "contained" else self.resource
        if is_primitive(kind):
            item = self._primitives[kind]
            if kind == "code" and facts.binding:
                item = code_check(facts.binding, item)
        else:
            item = self._object(facts.content or kind)
        if kind == "Reference":
            item = reference_check(facts.targets, item)
        elif kind == "Extension" and members.path != "Extension":
            item = _absolute(item)
        elif kind in ("Coding", "CodeableConcept") and facts.binding:
            item = coded_check(facts.binding, kind, item)
        elif kind == "Quantity" and facts.simple_quantity:
            item = _simple(item)
        rules = rules_of(facts.path, facts.constraints)
        return _ruled(item, rules) if rules else item

    def _contained(self, value: Any, scope: Scope) -> Findings:
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(kind, str) or not is_resource_type(kind):
            return _no_resource(value, kind, scope)
        return self._judge(kind, value, scope)

    def _judge(self, kind: str, value: dict[str, Any], scope: Scope) -> Findings:
        """Check a resource whose type is known, on its own or contained; `scope` is that of the container."""
        return self.definition(kind)(value, scope)


def _accept(_value: Any, _scope: Scope) -> Findings:
    return None


def _has_companion(members: Members, facts: ElementFacts) -> bool:
    """Tell whether the primitive may carry extensions: ids of elements, the url of an extension and XHTML may not."""
    if facts.name == "id":
        return members.whole
    return facts.path not in ("Extension.url", "Narrative.div")


def _no_resource(value: Any, kind: Any, scope: Scope) -> Findings:
    if not isinstance(value, dict):
        return wrong_shape(value, "kind.resource")
    if kind is None:
        return one("no-resource-type", "structure", say("no-resource-type"))
    near = scope.near(kind, resource_types()) if isinstance(kind, str) else ""
    text = say("resource-type-unknown", name=shown(kind), hint=say("hint.near", near=near) if near else "")
    return one("resource-type-unknown", "structure", text)


def _contained_types(resource: dict[str, Any]) -> dict[str, str]:
    contained = resource["contained"]
    items = contained if isinstance(contained, list) else ()
    return {str(item.get("id")): str(item.get("resourceType")) for item in items if isinstance(item, dict)}


def _full_urls(bundle: dict[str, Any]) -> dict[str, str]:
    entries = bundle.get("entry")
    found: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            found[str(entry.get("fullUrl"))] = str(entry["resource"].get("resourceType", ""))
    return found


def _absolute(item: Check) -> Check:
    def check(value: Any, scope: Scope) -> Findings:
        found = item(value, scope)
        url = value.get("url") if type(value) is dict else None
        if type(url) is str and ":" not in url:
            found = merged(found, one("extension-url", "extension", say("extension-url", url=shown(url)), ".url"))
        return found

    return check


def _simple(item: Check) -> Check:
    def check(value: Any, scope: Scope) -> Findings:
        found = item(value, scope)
        if type(value) is dict and ("comparator" in value or "_comparator" in value):
            found = merged(found, one("sqty-1", "invariant", say("sqty-1")))
        return found

    return check


def _ruled(item: Check, rules: tuple[Rule, ...]) -> Check:
    def check(value: Any, scope: Scope) -> Findings:
        return judged(rules, value, scope, item(value, scope))

    return check
