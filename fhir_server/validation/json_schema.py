"""Profiles as JSON Schema, draft 2020-12: base R4 structure, and of the profile what the schema language can say.

It can say: elements and their types, cardinalities, required codes, the lexical rules of primitives, fixed and pattern
values, slices by fixed or pattern values and by extension url, types and targets. It cannot say invariants, which the
schema lists in `$comment`, nor what needs a terminology beyond a list of codes.
"""

from typing import Any, Final

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.r4 import ElementFacts, child, is_primitive, is_resource_type, structure
from fhir_server.model.resource import Resource
from fhir_server.validation.differential import Part, read_tree
from fhir_server.validation.primitives import pattern_text

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_NUMBERS: Final[dict[str, Schema]] = {
    "decimal": {"type": "number"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
}
_NO_COMPANION: Final = frozenset({"Extension.url", "Narrative.div", "Element.id"})


def profile_schema(definition: Resource, catalog: Catalog) -> Schema:
    """Return the schema of a profile or extension of ours. Raises UnenforceableConstruct as compiling it does."""
    tree = read_tree(definition, catalog)
    kind = definition["type"]
    builder = _Builder()
    below = [builder.reference(kind), builder.narrowed(tree, kind)]
    if is_resource_type(kind):
        below.insert(0, {"properties": {"resourceType": {"const": kind}}, "required": ["resourceType"]})
    rules = [f"{one['key']}: {one['human']}" for one in tree.rules.get("constraint", ())]
    return {
        "$schema": DRAFT,
        "$id": f"{definition['url']}/$json-schema",
        "title": definition.get("title", definition["name"]),
        "description": definition.get("description", ""),
        **({"$comment": "Not expressed here: " + " ".join(rules)} if rules else {}),
        "allOf": [one for one in below if one],
        "$defs": builder.finish(),
    }


class _Builder:
    """Collects the definitions that a schema refers to."""

    def __init__(self) -> None:
        self._definitions: dict[str, Schema] = {}
        self._waiting: list[str] = []

    def reference(self, path: str) -> Schema:
        """Return a reference to the schema of a type or backbone element, which is built in its turn."""
        if path not in self._definitions:
            self._definitions[path] = {}
            self._waiting.append(path)
        return {"$ref": f"#/$defs/{path}"}

    def finish(self) -> dict[str, Schema]:
        """Build what is referred to, until nothing new is."""
        while self._waiting:
            path = self._waiting.pop()
            self._definitions[path] = self._definition(path)
        return dict(sorted(self._definitions.items()))

    def _definition(self, path: str) -> Schema:
        if is_primitive(path):
            return _primitive(path)
        if path == "Resource":
            return {"type": "object", "properties": {"resourceType": {"type": "string"}}, "required": ["resourceType"]}
        facts = structure(path)
        properties: dict[str, Schema] = {"resourceType": {"const": path}} if is_resource_type(path) else {}
        rules: list[Schema] = []
        for element in facts.elements if facts else ():
            rules += self._element(element, properties)
        found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if not is_resource_type(path):
            found["minProperties"] = 1
        return found | ({"allOf": rules} if rules else {})

    def _element(self, facts: ElementFacts, properties: dict[str, Schema]) -> list[Schema]:
        forms: list[list[str]] = []
        for name, kind in facts.json_names:
            item = self._item(facts, kind)
            primitive = is_primitive(kind) and facts.path not in _NO_COMPANION
            names = [name, f"_{name}"] if primitive else [name]
            forms.append(names)
            if facts.many and primitive:
                item = {"anyOf": [item, {"type": "null"}]}
            properties[name] = _many(item) if facts.many else item
            if primitive:
                beside = self.reference("Element")
                properties[f"_{name}"] = _many({"anyOf": [beside, {"type": "null"}]}) if facts.many else beside
        rules = [_present([name for names in forms for name in names])] if facts.min else []
        if facts.choice and len(forms) > 1:
            present = [_present(names) for names in forms]
            rules.append({"oneOf": present} if facts.min else {"oneOf": [*present, {"not": {"anyOf": present}}]})
        return rules

    def _item(self, facts: ElementFacts, kind: str) -> Schema:
        if facts.content:
            return self.reference(facts.content)
        codes = facts.binding.codes if facts.binding and kind == "code" else frozenset[str]()
        if codes:
            return {"enum": sorted(codes)}
        if kind == "Reference" and facts.targets:
            return {"allOf": [self.reference(kind), _targets(facts.targets)]}
        return self.reference(kind or "Element")

    def narrowed(self, part: Part, definition: str) -> Schema:
        """Return what the profile adds to an object whose base schema stands beside."""
        rules: list[Schema] = []
        for one in part.children.values():
            facts = child(definition, one.name.removesuffix("[x]"))
            if facts is not None:
                rules += self._narrowed_element(one, facts)
        return {"allOf": rules} if rules else {}

    def _narrowed_element(self, part: Part, facts: ElementFacts) -> list[Schema]:
        allowed = [
            (name, kind) for name, kind in facts.json_names if not part.codes or kind in part.codes or not facts.choice
        ]
        rules: list[Schema] = []
        if part.high == 0:
            return [{"not": _present([name for name, _ in facts.json_names])}]
        if len(allowed) < len(facts.json_names):
            banned = [name for name, _ in facts.json_names if (name, _) not in allowed]
            rules.append({"not": _present(banned)})
        if part.low:
            rules.append(_present([prefix + name for name, _ in allowed for prefix in ("", "_")]))
        for name, kind in allowed:
            rules += self._narrowed_form(part, facts, name, kind if not facts.content else facts.content)
        return rules

    def _narrowed_form(self, part: Part, facts: ElementFacts, name: str, kind: str) -> list[Schema]:
        item = self.item_of(part, kind)
        found: Schema = {}
        if facts.many:
            if item:
                found["items"] = {"anyOf": [item, {"type": "null"}]} if is_primitive(kind) else item
            if part.low > 1:
                found["minItems"] = part.low
            if part.high is not None:
                found["maxItems"] = part.high
            slices = [self._slice(one, kind) for one in part.slices.values() if one.low or one.high is not None]
            found |= {"allOf": slices} if (slices := [one for one in slices if one]) else {}
        else:
            found = item
        rules: list[Schema] = [{"properties": {name: found}}] if found else []
        if any(one.low for one in part.slices.values()) and facts.many:
            rules.append(_present([name]))
        return rules

    def item_of(self, part: Part, kind: str) -> Schema:
        """Return what the profile says of one item."""
        rules: list[Schema] = []
        if fixed := part.value("fixed"):
            rules.append({"const": fixed[1]})
        if pattern := part.value("pattern"):
            rules.append(pattern_schema(pattern[1]))
        if "maxLength" in part.rules:
            rules.append({"maxLength": part.rules["maxLength"]})
        targets = [url for one in part.rules.get("type", ()) for url in one.get("targetProfile", ())]
        names = [url.rpartition("/")[2] for url in targets]
        if kind == "Reference" and names and all(map(is_resource_type, names)):
            rules.append(_targets(tuple(names)))
        if part.children and not is_primitive(kind) and (inner := self.narrowed(part, kind)):
            rules.append(inner)
        return rules[0] if len(rules) == 1 else {"allOf": rules} if rules else {}

    def _slice(self, part: Part, kind: str) -> Schema:
        url = next((url for one in part.rules.get("type", ()) for url in one.get("profile", ())), "")
        match = {"properties": {"url": {"const": url}}, "required": ["url"]} if url else self.item_of(part, kind)
        if not match:
            return {}
        found: Schema = {"contains": match, "minContains": part.low}
        return found | ({"maxContains": part.high} if part.high is not None else {})


def pattern_schema(wanted: Any) -> Schema:
    """Return the schema of the values that hold a pattern."""
    if isinstance(wanted, dict):
        return {
            "type": "object",
            "required": list(wanted),
            "properties": {name: pattern_schema(value) for name, value in wanted.items()},
        }
    if isinstance(wanted, list):
        return {"type": "array", "allOf": [{"contains": pattern_schema(value)} for value in wanted]}
    return {"const": wanted}


def _many(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def _present(names: list[str]) -> Schema:
    return {"required": names} if len(names) == 1 else {"anyOf": [{"required": [name]} for name in names]}


def _primitive(kind: str) -> Schema:
    if kind == "boolean":
        return {"type": "boolean"}
    if kind in _NUMBERS:
        return _NUMBERS[kind]
    pattern = pattern_text(kind)
    return {"type": "string", "minLength": 1} | ({"pattern": f"^(?:{pattern})$"} if pattern else {})


def _targets(names: tuple[str, ...]) -> Schema:
    """Refuse a relative reference to a type that is not among these; other references do not tell their type."""
    if "Resource" in names:
        return {}
    allowed = "|".join(names)
    return {"properties": {"reference": {"pattern": f"^(?!(?!(?:{allowed})/)[A-Z][A-Za-z]*/)"}}}
