"""The one entry to base validation: is this a valid R4 resource, and if not, everything that is wrong with it."""

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.validation.compiler import Compiler
from fhir_server.validation.finding import MAX_FINDINGS, Scope


class Validator:
    """Judges resources against base R4. Built once; types are compiled on first use; shared by all threads."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler

    @classmethod
    def load(cls) -> "Validator":
        """Build a validator over the facts that ship with the package."""
        return cls(Compiler())

    def validate(self, resource: Resource, *, path: str | None = None) -> list[Issue]:
        """Return every fault at once, in the order of the body; an empty list says that the resource is valid R4.

        `path` stands in front of each expression where the resource is part of something larger; without it the
        resource type does (`Patient.name[0].given[1]`).
        """
        try:
            findings = self._compiler.resource(resource, Scope({}, {}))
        except RecursionError:
            text = "The resource nests too deeply to be checked. No R4 resource needs such depth."
            return [Issue("too-deep", "too-costly", text, path or "")]
        if not findings:
            return []
        kind = resource.get("resourceType") if isinstance(resource, dict) else ""
        root = path if path is not None else kind if isinstance(kind, str) else ""
        issues = [Issue(key, code, text, f"{root}{step}".lstrip(".")) for step, key, code, text in findings]
        if len(issues) > MAX_FINDINGS:
            text = f"More than {MAX_FINDINGS} problems were found; the rest is left out. Correct these first."
            return [*issues[:MAX_FINDINGS], Issue("too-many-problems", "incomplete", text, root, "information")]
        return issues
