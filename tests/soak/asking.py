"""Random searches, made of what is indexed of the examples, so that most of them find some."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import default_root
from fhir_server.search import values as v
from fhir_server.search.extract import Extractor
from fhir_server.search.parameters import Registry, SearchParameter

EXAMPLES = default_root() / "examples"
PREFIXES = ("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")


class World(NamedTuple):
    """The resources by `Type/id`, and what is indexed of each."""

    resources: dict[str, dict[str, Any]]
    entries: dict[str, tuple[v.Entry, ...]]
    registry: Registry


def resources_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the resources of files and of Bundles in them, each with an id."""
    for path in sorted(folder.rglob("*.json")):
        body = json.loads(path.read_bytes())
        if "invalid" in path.parts or not isinstance(body, dict) or "resourceType" not in body:
            continue
        entries = (
            [one["resource"] for one in body.get("entry", ()) if "resource" in one]
            if body["resourceType"] == "Bundle"
            else [body]
        )
        for number, one in enumerate(entries):
            yield {"id": f"{path.stem[:50]}-{number}", **one}


def world_of(most: int, dice: random.Random) -> World:
    """Return some of the examples, at most so many."""
    registry = Registry.load(Catalog.load(default_root()).of_type("SearchParameter"))
    extractor = Extractor(registry)
    found = {f"{one['resourceType']}/{one['id']}": one for one in resources_of(EXAMPLES)}
    names = dice.sample(sorted(found), min(most, len(found)))
    return World(
        {name: found[name] for name in names}, {name: extractor.extract(found[name]) for name in names}, registry
    )


class Asker:
    """Makes searches."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self._world, self._dice = world, dice
        self._names = sorted(world.resources)
        self._by_type: dict[str, list[str]] = {}
        for name in self._names:
            self._by_type.setdefault(name.partition("/")[0], []).append(name)

    def search(self) -> tuple[str, list[tuple[str, str]]]:
        """Return a type and the parameters of a search on it."""
        dice = self._dice
        kind = dice.choice(self._names).partition("/")[0]
        asked = [self._condition(kind) for _ in range(dice.choice((0, 1, 1, 1, 2, 3)))]
        if dice.random() < 0.7:
            known = [p.code for p in self._world.registry.of(kind).values() if p.type not in ("composite", "special")]
            keys = dice.sample([*known, "_lastUpdated"], dice.choice((1, 1, 2)))
            asked.append(
                ("_sort", ",".join(dice.choice(("", "-")) + key for key in keys if key not in ("_text", "_content")))
            )
        if dice.random() < 0.25:
            links = [p.code for p in self._world.registry.of(kind).values() if p.type == "reference"]
            asked.append((dice.choice(("_include", "_include:iterate")), f"{kind}:{dice.choice([*links, '*'])}"))
        if dice.random() < 0.1:
            asked.append(("_revinclude", dice.choice(("Task:*", "Provenance:target", "*:*"))))
        asked.append(("_total", "accurate"))
        asked.append(("_count", str(dice.choice((1, 2, 5, 20, 50)))))
        return kind, asked

    def _condition(self, kind: str, depth: int = 0) -> tuple[str, str]:
        dice = self._dice
        entries = [entry for entry in self._world.entries[dice.choice(self._by_type[kind])] if ":" not in entry.param]
        if depth < 2 and dice.random() < 0.15:
            return self._has(kind, depth)
        if not entries:
            return "_id:missing", "false"
        entry = dice.choice(entries)
        if "#" in entry.param:
            return self._contained(entry, depth)
        parameter = self._world.registry.of(kind).get(entry.param)
        if isinstance(entry, v.TextEntry):
            return entry.param, dice.choice(entry.text.split() or ["x"])
        if parameter is None or dice.random() < 0.08:
            return f"{entry.param}:missing", dice.choice(("true", "false"))
        if isinstance(entry, v.ReferenceEntry) and depth < 2 and dice.random() < 0.35:
            chained = self._chain(entry, depth)
            if chained:
                return chained
        name, value = self._value(parameter, entry)
        if dice.random() < 0.25 and not isinstance(entry, v.CompositeEntry | v.TextEntry) and ":" not in name:
            return self._filtered(name, parameter.type, value)
        if dice.random() < 0.2 and ":" not in name:
            value += "," + self._value(parameter, dice.choice([e for e in entries if e.param == entry.param]))[1]
        return name, value

    def _contained(self, entry: v.Entry, depth: int) -> tuple[str, str]:
        before, _, rest = entry.param.partition("#")
        target, _, code = rest.partition(".")
        parameter = self._world.registry.of(target).get(code)
        if parameter is None or depth:
            return f"{before}:missing", "false"
        name, value = self._value(parameter, entry)
        return f"{before}:{target}.{name}", value

    def _chain(self, entry: v.ReferenceEntry, depth: int) -> tuple[str, str] | None:
        if entry.target not in self._world.resources:
            return None
        kind = entry.target.partition("/")[0]
        name, value = self._condition(kind, depth + 1)
        if name == "_filter" or name.startswith(("_text", "_content")):
            return None
        return f"{entry.param}:{kind}.{name}", value

    def _has(self, kind: str, depth: int) -> tuple[str, str]:
        referrers = [
            (name, entry.param)
            for name in self._names
            for entry in self._world.entries[name]
            if isinstance(entry, v.ReferenceEntry) and entry.target.startswith(f"{kind}/") and "#" not in entry.param
        ]
        if not referrers:
            return "_id:missing", "false"
        source, link = self._dice.choice(referrers)
        source = source.partition("/")[0]
        name, value = self._condition(source, depth + 1)
        return (f"_has:{source}:{link}:{name}", value) if name != "_filter" else ("_id:missing", "false")

    def _filtered(self, name: str, kind: str, value: str) -> tuple[str, str]:
        operations = {
            "token": ("eq", "ne"),
            "string": ("eq", "ne", "co", "sw"),
            "reference": ("eq", "ne", "re"),
            "uri": ("eq", "ne", "co"),
        }
        operation = self._dice.choice(operations.get(kind, ("ne", "eq", "gt", "le")))
        bare = value[2:] if kind in ("date", "number", "quantity") and value[:2].isalpha() else value
        said = f"{name} {operation} {json.dumps(bare.replace(chr(92), ''), ensure_ascii=False)}"
        return "_filter", f"not({said})" if self._dice.random() < 0.2 else said

    def _value(self, parameter: SearchParameter, entry: v.Entry) -> tuple[str, str]:
        dice, code = self._dice, parameter.code
        match entry:
            case v.TokenEntry():
                forms = [
                    entry.code or "x",
                    f"{entry.system or ''}|{entry.code or 'x'}",
                    f"{entry.system}|" if entry.system else entry.code or "x",
                ]
                return code + dice.choice(("", "", "", ":not")), escaped(dice.choice(forms), keep="|")
            case v.ReferenceEntry():
                target = entry.target or f"Organization/{entry.identifier_value[:30] or 'x'}"
                forms = [target, f"{target}|{entry.version}" if "://" in target and entry.version else target]
                if entry.identifier_value:
                    return f"{code}:identifier", escaped(
                        f"{entry.identifier_system}|{entry.identifier_value}", keep="|"
                    )
                return code, escaped(dice.choice(forms), keep="|")
            case v.StringEntry():
                words = entry.value.split() or ["x"]
                modifier = dice.choice(("", "", ":contains", ":exact"))
                text = (
                    entry.value
                    if modifier == ":exact"
                    else dice.choice((words[0], entry.value[:4], dice.choice(words)[1:] or "x"))
                )
                return code + modifier, escaped(text)
            case v.UriEntry():
                return code + dice.choice(("", ":below", ":above", ":contains")), escaped(entry.value, keep="|")
            case v.CompositeEntry():
                return self._composite(parameter, entry)
            case _:
                return code, self._ordered(entry)

    def _ordered(self, entry: v.Entry) -> str:
        dice = self._dice
        match entry:
            case v.DateEntry():
                return dice.choice(PREFIXES) + moment(entry.lo, dice.choice((4, 7, 10, 16)))
            case v.NumberEntry():
                return dice.choice(PREFIXES) + f"{entry.value:g}"
            case v.QuantityEntry():
                unit = dice.choice(("", f"|{entry.system}|{entry.code}", f"||{entry.code or entry.unit}"))
                return dice.choice(PREFIXES) + f"{entry.value:g}" + unit
            case v.PositionEntry():
                return f"{entry.latitude:.3f}|{entry.longitude:.3f}|{dice.choice((1, 10, 100))}|km"
            case _:
                return "x"

    def _composite(self, parameter: SearchParameter, entry: v.CompositeEntry) -> tuple[str, str]:
        values = []
        for component, part in zip(parameter.components, entry.parts, strict=False):
            known = self._world.registry.of(parameter.bases[0]).get(component.code)
            plain = [one for one in part if not isinstance(one, v.BaseQuantityEntry)]
            if known is None or not plain:
                return f"{parameter.code}:missing", "false"
            name, value = self._value(known, plain[0])
            if ":" in name:
                return f"{parameter.code}:missing", "true"
            values.append(value.replace("$", "\\$"))
        return parameter.code, "$".join(values)


def escaped(text: str, keep: str = "") -> str:
    """Write a value with what separates values escaped."""
    return "".join(f"\\{char}" if char in "\\,$|" and char not in keep else char for char in text)


def moment(micros: int, length: int) -> str:
    """Write an instant at a precision."""
    if abs(micros) > 10**17:
        return "2026"
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%dT%H:%M")[:length]
