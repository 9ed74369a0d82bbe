"""What the compiler of profiles reads off a definition."""

from fhir_server.artifacts.r4 import child, structure
from fhir_server.model.resource import Resource
from fhir_server.validation.checks import brief
from fhir_server.validation.differential import Part, UnenforceableConstruct


def extension_url(part: Part) -> str:
    """Return the url that a slice of extensions has: that of its profile, or the fixed value of its `url`."""
    for kind in part.rules.get("type", ()):
        for canonical in kind.get("profile", ()):
            return str(canonical).partition("|")[0]
    url = part.children.get("url")
    fixed = url.value("fixed") if url else None
    return str(fixed[1]) if fixed else ""


def wanted_text(part: Part) -> str:
    """Return what a slice asks, for a message: its fixed value or pattern, or the first one below it."""
    value = part.value("fixed") or part.value("pattern")
    if value is not None:
        return brief(value[1])
    return next((text for one in part.children.values() if (text := wanted_text(one))), part.name)


def contexts_of(definition: Resource) -> tuple[str, ...]:
    """Return where an extension may stand. Raises UnenforceableConstruct for a context that cannot be told apart."""
    found = []
    for context in definition.get("context", ()):
        place = str(context["expression"])
        if context["type"] != "element" or (structure(place) is None and place not in ("Element", "Resource")):
            raise UnenforceableConstruct(
                definition["url"],
                "StructureDefinition.context",
                f"{context['type']} {place} is not a type or backbone element of R4.",
            )
        found.append(place)
    return tuple(found)


def must_support_of(tree: Part, kind: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return the elements at the root that systems must support: path, and the names in JSON that show it is there."""
    found = []
    for part in tree.children.values():
        facts = child(kind, part.name.removesuffix("[x]"))
        if part.rules.get("mustSupport") and facts is not None:
            names = frozenset(prefix + name for name, _ in facts.json_names for prefix in ("", "_"))
            found.append((part.id, names))
    return tuple(found)
