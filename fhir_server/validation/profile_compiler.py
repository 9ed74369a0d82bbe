"""Compiles StructureDefinitions to checks, once; what cannot be enforced is refused with its path.

The check of a profile judges what the profile adds to R4: base R4 itself is judged by `compiler`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.r4 import ElementFacts, child, is_resource_type, is_subtype, structure
from fhir_server.fhirpath import FhirPathError, HostFunction, compile_expression
from fhir_server.model.errors import FhirError
from fhir_server.model.resource import Resource
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation import checks
from fhir_server.validation.checks import Place
from fhir_server.validation.coded import ValueSet, binding_check, codes_of
from fhir_server.validation.differential import Part, UnenforceableConstruct, read_tree
from fhir_server.validation.finding import Check, Findings, Scope
from fhir_server.validation.members import Element, object_check
from fhir_server.validation.profile_facts import contexts_of, extension_url, must_support_of, wanted_text
from fhir_server.validation.slicing import Match, Slice, matcher, sliced_check
from fhir_server.validation.targets import target_check
from fhir_server.validation.wording import say

HL7: Final = "http://hl7.org/fhir/StructureDefinition/"
INVARIANT_BUDGET: Final = 200_000
"""Items that one evaluation of an invariant may touch: a Bundle of thousands of entries needs a tenth of it."""
_BY_URL: Final = {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}
_BY_TYPE: Final = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}
_NO_CODES: Final = frozenset({"preferred", "example"})


class Profile(NamedTuple):
    """A profile of ours, or the definition of an extension, compiled.

    `contexts` are the types and backbone elements that an extension may stand on. `must_support` holds the names in JSON
    of the top-level elements that systems must support.
    """

    url: str
    type: str
    check: Check
    contexts: tuple[str, ...]
    must_support: tuple[tuple[str, frozenset[str]], ...]


class ProfileCompiler:
    """Compiles the profiles of a catalogue; each is compiled at most once, and may refer to any other."""

    def __init__(self, catalog: Catalog, terminology: TerminologyService) -> None:
        self._catalog = catalog
        self._terminology = terminology
        self._compiled: dict[str, Check] = {}
        self._value_sets: dict[str, ValueSet | None] = {}

    def compile(self, definition: Resource) -> Profile:
        """Compile a StructureDefinition that constrains a type of R4. Raises UnenforceableConstruct."""
        tree = read_tree(definition, self._catalog)
        kind = definition["type"]
        if structure(kind) is None:
            raise UnenforceableConstruct(definition["url"], kind, f"{kind} is not a type of R4.")
        check = self.part_check(tree, kind) or _nothing
        self._compiled[definition["url"]] = check
        return Profile(definition["url"], kind, check, contexts_of(definition), must_support_of(tree, kind))

    def own(self, url: str) -> bool:
        """Tell whether the catalogue has this profile."""
        return self._catalog.get("StructureDefinition", url) is not None

    def profile_check(self, part: Part, url: str) -> Check:
        """Return the check of a profile of ours; it is looked up when it is called, since profiles may refer in circles."""
        bare = url.partition("|")[0]
        if not self.own(bare):
            raise part.refuse(f"the profile {url} is not loaded.")
        compiled = self._compiled
        return lambda value, scope: compiled[bare](value, scope) if bare in compiled else None

    def part_check(self, part: Part, definition: str) -> Check | None:
        """Return the check of one item of an element; `definition` is where its children are, its type if it has none."""
        place = _place(part)
        found: list[Check | None] = [*self._value_checks(part, place), self._binding(part, place)]
        found += self._type_checks(part, place, definition)
        found.append(self._children(part, definition))
        found += self._constraints(part, definition)
        return checks.all_of([check for check in found if check is not None])

    def _value_checks(self, part: Part, place: Place) -> list[Check]:
        found: list[Check] = []
        if fixed := part.value("fixed"):
            found.append(checks.fixed_check(place, fixed[1]))
        if pattern := part.value("pattern"):
            found.append(checks.pattern_check(place, pattern[1]))
        if "maxLength" in part.rules:
            found.append(checks.length_check(place, int(part.rules["maxLength"])))
        for stem, least in (("minValue", True), ("maxValue", False)):
            if bound := part.value(stem):
                if isinstance(bound[1], dict):
                    raise part.refuse(f"{bound[0]} is not enforced: units are not converted.")
                found.append(checks.bound_check(place, bound[1], least=least))
        return found

    def _binding(self, part: Part, place: Place) -> Check | None:
        binding = part.rules.get("binding")
        if binding is None or binding["strength"] in _NO_CODES:
            return None
        value_set = self._value_set(str(binding.get("valueSet", "")))
        if value_set is None:
            raise part.refuse(f"the value set {binding.get('valueSet')} is not loaded.")
        return binding_check(place, value_set, required=binding["strength"] == "required")

    def _value_set(self, canonical: str) -> ValueSet | None:
        url = canonical.partition("|")[0]
        if url not in self._value_sets:
            self._value_sets[url] = self._read_value_set(url)
        return self._value_sets[url]

    def _read_value_set(self, url: str) -> ValueSet | None:
        terminology = self._terminology
        members: frozenset[tuple[str, str]] | None = None
        try:
            members = frozenset((one.system, one.code) for one in terminology.expand(url).contains)
        except FhirError:
            if self._catalog.get("ValueSet", url) is None:
                return None
        return ValueSet(url, members, lambda system, code: terminology.validate_code(system or None, code, url).result)

    def _type_checks(self, part: Part, place: Place, definition: str) -> list[Check]:
        found: list[Check] = []
        types, targets = set[str](), dict[str, tuple[str, Check]]()
        for kind in part.rules.get("type", ()):
            for url in kind.get("profile", ()):
                if kind["code"] != "Extension" and (url.partition("|")[0] != HL7 + kind["code"]):
                    found.append(self.profile_check(part, url))  # noqa: PERF401  # the loop also collects targets
            for url in kind.get("targetProfile", ()):
                types.add(self._target(part, url, targets))
        if types and "Resource" not in types:
            found.append(target_check(place, frozenset(types), targets))
        if definition == "Resource" and part.codes and "Resource" not in part.codes:
            found.append(_resource_check(place, frozenset(part.codes)))
        return found

    def _target(self, part: Part, url: str, targets: dict[str, tuple[str, Check]]) -> str:
        bare = url.partition("|")[0]
        if bare.startswith(HL7) and (is_resource_type(bare[len(HL7) :]) or bare == HL7 + "Resource"):
            return bare[len(HL7) :]
        known = self._catalog.get("StructureDefinition", bare)
        if known is None:
            raise part.refuse(f"the target profile {url} is not loaded.")
        targets[bare] = (known["type"], self.profile_check(part, bare))
        return str(known["type"])

    def _constraints(self, part: Part, definition: str) -> list[Check]:
        found = []
        for constraint in part.rules.get("constraint", ()):
            if "expression" not in constraint:
                raise part.refuse(f"the constraint {constraint['key']} has no expression.")
            try:
                expression = compile_expression(
                    constraint["expression"], functions=self._functions(), budget=INVARIANT_BUDGET
                )
            except FhirPathError as error:
                raise part.refuse(f"the constraint {constraint['key']} cannot be evaluated: {error}") from error
            root = part.id == part.name and is_resource_type(definition)
            found.append(checks.invariant_check(constraint, expression, definition, root=root))
        return found

    def _functions(self) -> Mapping[str, HostFunction]:
        def member_of(values: list[Any], urls: list[Any]) -> list[Any]:
            value_set = self._value_set(str(urls[0])) if urls else None
            if value_set is None or len(values) != 1:
                return []
            return [any(value_set.has(*pair) for pair in codes_of(values[0]))]

        def conforms_to(values: list[Any], urls: list[Any]) -> list[Any]:
            check = self._compiled.get(str(urls[0])) if urls else None
            if check is None or len(values) != 1:
                return []
            return [not any(one.severity == "error" for one in check(values[0], Scope({}, {}, None, values[0])) or ())]

        return {"memberOf": HostFunction(1, 1, member_of), "conformsTo": HostFunction(1, 1, conforms_to)}

    def _children(self, part: Part, definition: str) -> Check | None:
        if not part.children:
            return None
        if not definition:
            raise part.refuse("it has several types, so nothing can be said of what is below it.")
        return object_check([self._element(one, definition) for one in part.children.values()])

    def _element(self, part: Part, definition: str) -> Element:
        facts = child(definition, part.name.removesuffix("[x]"))
        if facts is None:
            raise part.refuse(f"{definition} has no such element.")
        codes = part.codes
        if any(code not in facts.types for code in codes) and facts.types != ("*",) and not _any_resource(facts, codes):
            raise part.refuse(f"R4 has no {', '.join(codes)} here.")
        forms = tuple((name, kind, _step(facts, name, kind)) for name, kind in facts.json_names)
        allowed = frozenset(name for name, kind, _ in forms if not codes or kind in codes or not facts.choice)
        items: dict[str, Check] = {}
        for name, kind, _ in forms:
            if name in allowed and (check := self.part_check(part, self._below(part, facts, kind, len(allowed)))):
                items[name] = check
        place = _place(part)
        return Element(
            place, facts.name, forms, facts.many, facts.choice, allowed, part.low, _narrower(part, facts), items,
            self._slicing(part, facts, place),
        )  # fmt: skip

    def _below(self, part: Part, facts: ElementFacts, kind: str, count: int) -> str:
        """Return the definition that holds the children of an element, "" where its type is not certain."""
        if facts.content:
            return facts.content
        if kind == "Resource" and len(part.codes) == 1 and part.children:
            return part.codes[0]
        return kind if count == 1 or not part.children else ""

    def _slicing(self, part: Part, facts: ElementFacts, place: Place) -> Callable[[list[Any], Scope], Findings] | None:
        if not part.slices:
            if part.rules.get("slicing", {}).get("rules", "open") != "open":
                raise part.refuse("it is closed for slices that it does not have.")
            return None
        default = _BY_URL if facts.types == ("Extension",) else _BY_TYPE if facts.choice else None
        slicing = part.rules.get("slicing", default)
        if slicing is None:
            raise part.refuse("it has slices but no slicing.")
        found = [self._slice(name, one, facts, slicing) for name, one in part.slices.items()]
        return sliced_check(place, slicing, found)

    def _slice(self, name: str, part: Part, facts: ElementFacts, slicing: Mapping[str, Any]) -> Slice:
        kinds = part.codes or facts.types
        below = facts.content or (kinds[0] if len(kinds) == 1 else "")
        url = extension_url(part) if facts.types == ("Extension",) else ""
        match: Match
        if url and slicing["discriminator"] == _BY_URL["discriminator"]:
            match = _with_url(url)
        else:
            match, url = matcher(self, part, slicing["discriminator"], below), ""
        check = self.part_check(part, below)
        wanted = url or wanted_text(part)
        return Slice(name, part.low, part.high, match, check, url, wanted)


def _place(part: Part) -> Place:
    return Place(part.id, part.profile.rpartition("/")[2])


def _nothing(_value: Any, _scope: Scope) -> Findings:
    return None


def _with_url(url: str) -> Match:
    return lambda item, _: type(item.value) is dict and item.value.get("url") == url


def _resource_check(place: Place, codes: frozenset[str]) -> Check:
    def check(value: Any, _scope: Scope) -> Findings:
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(kind, str) or any(is_subtype(kind, code) for code in codes):
            return None
        text = say("profile-type", path=place.path, found=kind, profile=place.profile, allowed=", ".join(sorted(codes)))
        return checks.fail("profile-type", "structure", text)

    return check


def _any_resource(facts: ElementFacts, codes: tuple[str, ...]) -> bool:
    return facts.types == ("Resource",) and all(is_resource_type(code) for code in codes)


def _step(facts: ElementFacts, name: str, kind: str) -> str:
    return f".{facts.name}.ofType({kind})" if facts.choice else f".{name}"


def _narrower(part: Part, facts: ElementFacts) -> int | None:
    """Return the largest number of occurrences where the profile allows fewer than R4."""
    if part.high is None or (facts.max is not None and part.high >= facts.max):
        return None
    return part.high
