"""The registry of search parameters: the R4 4.0.1 table, plus the SearchParameter artefacts of profiles/."""

import hashlib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from fhir_server.model.resource import Resource
from fhir_server.search.expressions import Path, UnsupportedExpression, compile_expression
from fhir_server.search.structures import Structures

URL_BASE = "http://hl7.org/fhir/SearchParameter/"
_EXTRACTION = 5
"""Counted up by a release that indexes the same parameters otherwise (2: full text, units; 3: what `beside` names; 4: ranges
as a whole, instants as points, marks of scripts, urn references; 5: logical references that state no type)."""
ANY = "*"
"""As a target: every resource type."""

_Row = tuple[str, str, str, list[str], list[tuple[str, str, str]], str]


class Component(NamedTuple):
    """One component of a composite parameter; `paths` are relative to the element that `path` reaches."""

    type: str
    expression: str
    code: str
    """The code of the parameter that the component is taken from; its modifiers and rules hold."""


class Occurrence(NamedTuple):
    """The elements where the components of a composite belong together, and the paths of each component from there."""

    path: Path
    components: tuple[tuple[Path, ...], ...]


class SearchParameter(NamedTuple):
    """One search parameter of one resource type, compiled."""

    code: str
    type: str
    """number, date, string, token, reference, composite, quantity, uri or special."""
    bases: tuple[str, ...]
    expression: str
    targets: tuple[str, ...]
    """For a reference: the resource types it can refer to; ("*",) for any."""
    components: tuple[Component, ...]
    url: str
    paths: tuple[Path, ...]
    occurrences: tuple[Occurrence, ...]

    @property
    def element_types(self) -> frozenset[str]:
        """The datatypes that the expression reaches (`code`, `Reference`, `Period`)."""
        return frozenset(path.type for path in self.paths)

    @property
    def systems(self) -> frozenset[str]:
        """Code systems that the elements imply: stored without a system, asked for with one or without."""
        return frozenset(path.system for path in self.paths if path.system)

    @property
    def has_family_name(self) -> bool:
        """Whether a family name is among what is compared word by word; `phonetic` compares the first word only."""
        return self.code != "phonetic" and any(
            path.type == "HumanName" or (path.steps and path.steps[-1].key == "family") for path in self.paths
        )


class Registry:
    """Every parameter by resource type and code. Types are compiled when they are first asked for.

    Safe to share between threads: compiling a type twice gives the same value.
    """

    def __init__(self, rows: Mapping[str, list[_Row]], structures: Structures, extra: Iterable[Resource] = ()) -> None:
        self._rows = dict(rows)
        self._types = tuple(name for name in self._rows if name != "Resource")
        self._structures = structures
        self._compiled: dict[str, Mapping[str, SearchParameter]] = {}
        self._with: dict[str, tuple[str, ...]] = {}
        for artifact in sorted(extra, key=lambda one: one["type"] == "composite"):  # after what they are composed of
            self._add(artifact)

    @classmethod
    def load(cls, extra: Iterable[Resource] = ()) -> "Registry":
        """Load the R4 table and add SearchParameter resources; a later code replaces an earlier one of the same base.

        Raises UnsupportedExpression or ValueError, naming the parameter, when an extra one cannot be offered.
        """
        raw = files("fhir_server.search").joinpath("r4_parameters.json").read_bytes()
        return cls(msgspec.json.decode(raw, type=dict[str, list[_Row]]), Structures.load(), extra)

    @property
    def types(self) -> tuple[str, ...]:
        """All resource types, in alphabetical order."""
        return self._types

    def of(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """Return code → parameter of a resource type, those of every resource included; empty for an unknown type.

        Parameters without an expression (`_text`, `_content`, `_query`) are not among them.
        """
        compiled = self._compiled.get(resource_type)
        if compiled is None:
            if resource_type not in self._rows:
                return MappingProxyType({})
            rows = {row[0]: row for row in (*self._rows["Resource"], *self._rows[resource_type]) if row[2]}
            compiled = MappingProxyType({code: self._compile(resource_type, row) for code, row in rows.items()})
            self._compiled[resource_type] = compiled
        return compiled

    def types_with(self, code: str) -> tuple[str, ...]:
        """Return the resource types that have a parameter with this code."""
        found = self._with.get(code)
        if found is None:
            found = tuple(name for name in self._types if self._knows(name, code))
            if found:  # what nobody has is not kept: clients can ask anything
                self._with[code] = found
        return found

    def _knows(self, resource_type: str, code: str) -> bool:
        """Tell whether `of` a type has a parameter, without compiling it."""
        return any(row[0] == code and row[2] for name in ("Resource", resource_type) for row in self._rows[name])

    def digest(self) -> str:
        """Return a text that is another when any parameter is, or how values are read: an index made otherwise is out of date."""
        rows = {name: sorted(found) for name, found in sorted(self._rows.items())}
        return hashlib.sha256(msgspec.json.encode([_EXTRACTION, rows])).hexdigest()[:16]

    def has_element(self, resource_type: str, name: str) -> bool:
        """Tell whether a resource type has a top-level element, with or without the suffix of a choice."""
        return bool(self._structures.children(resource_type, name))

    def elements(self, resource_type: str) -> tuple[str, ...]:
        """Return the top-level elements of a resource type."""
        return self._structures.names(resource_type)

    def targets(self, parameter: SearchParameter) -> tuple[str, ...]:
        """Return the types that a reference parameter can refer to, "any" spelled out."""
        return self.types if ANY in parameter.targets else parameter.targets

    def _add(self, artifact: Resource) -> None:
        bases = artifact["base"]
        unknown = [base for base in bases if base not in self._rows and base != "DomainResource"]
        if unknown:
            raise ValueError(f"SearchParameter {artifact['url']}: base {unknown[0]!r} is not a resource type of R4")
        components = [self._component(artifact, part) for part in artifact.get("component", ())]
        targets = list(artifact.get("target", ())) or ([ANY] if artifact["type"] == "reference" else [])
        row = (artifact["code"], artifact["type"], artifact.get("expression", ""), targets, components, artifact["url"])
        for base in bases:
            name = "Resource" if base == "DomainResource" else base
            self._rows[name] = [known for known in self._rows[name] if known[0] != row[0]] + [row]
            if name != "Resource":
                self._compile(name, row)  # an expression that is not offered is told now, not at the first search

    def _component(self, artifact: Resource, part: dict[str, Any]) -> tuple[str, str, str]:
        url = part["definition"].removeprefix(URL_BASE)
        for rows in self._rows.values():
            for row in rows:
                if row[5] in (url, part["definition"]):
                    return row[1], part["expression"], row[0]
        raise ValueError(f"SearchParameter {artifact['url']}: component {part['definition']} is not a known parameter")

    def _compile(self, base: str, row: _Row) -> SearchParameter:
        code, kind, expression, targets, components, url = row
        try:
            paths = compile_expression(expression, base, self._structures) if expression else ()
            occurrences = tuple(self._occurrence(path, components, base) for path in paths) if components else ()
        except UnsupportedExpression as error:
            raise UnsupportedExpression(f"SearchParameter {code!r} of {base}: {error}") from error
        full_url = url if ":" in url else URL_BASE + url
        parts = tuple(Component(*part) for part in components)
        return SearchParameter(code, kind, (base,), expression, tuple(targets), parts, full_url, paths, occurrences)

    def _occurrence(self, path: Path, components: list[tuple[str, str, str]], base: str) -> Occurrence:
        compiled = (compile_expression(part[1], path.type, self._structures, base) for part in components)
        return Occurrence(path, tuple(compiled))
