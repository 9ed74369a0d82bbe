"""Template-based extraction (SDC): a contained resource of the questionnaire is filled from the answers of an item.

`templateExtract` on an item (or on the questionnaire) names the template. In it, `templateExtractContext` on an element sets what the
expressions below it start from, and repeats the element for each item found; `templateExtractValue` puts in what it finds,
or takes the element out. On the template itself a context makes one resource for each item found.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fhir_server.fhirpath import Node
from fhir_server.fhirpath.node import plain
from fhir_server.model.errors import RuleViolated
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_expressions import Workshop
from fhir_server.workflow.screening_extraction import (
    URI_SYSTEM,
    Extracted,
    Source,
    answer_key,
    digest,
    place_key,
)
from fhir_server.workflow.screening_flow import Given
from fhir_server.workflow.screening_form import SDC, Form, extensions
from fhir_server.workflow.screening_scores import variables_of

_TEMPLATE: Final = SDC + "templateExtract"
_CONTEXT: Final = SDC + "templateExtractContext"
_VALUE: Final = SDC + "templateExtractValue"
_ELSEWHERE: Final = (SDC + "targetStructureMap", SDC + "templateExtractBundle")
"""Ways of extraction that are not offered."""


def require_extractable(form: Form) -> None:
    """Raise RuleViolated for a questionnaire that asks a way of extraction that is not offered: nothing is left out in silence."""
    holders = [(form.questionnaire, "Questionnaire"), *((one.raw, one.place) for one in form.questions.values())]
    for holder, place in holders:
        for url in _ELSEWHERE:
            if extensions(holder, url):
                raise RuleViolated(
                    f"{url.rpartition('-')[2]} is not offered here. Use observationExtract, templateExtract or definitionExtract.",
                    key="form-extraction-kind",
                    code="not-supported",
                    expression=f"{place}.extension",
                )


class Templates:
    """Fills the templates of one response."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._workshop = Workshop()
        self._contained = {one.get("id"): one for one in source.form.questionnaire.get("contained", ())}

    def extracted(self) -> Iterator[Extracted]:
        """Yield every resource that the templates give, in the order of the response."""
        holders: list[tuple[Given, Resource, str]] = [
            (self._source.root, self._source.form.questionnaire, "Questionnaire"),
            *((one, one.question.raw, one.question.place) for one in self._source.answered() if one.question),
        ]
        for given, holder, place in holders:
            for one in extensions(holder, _TEMPLATE):
                name = self._named(one, place)
                yield from self._of_template(given, name, place)

    def _named(self, one: Resource, place: str) -> str:
        parts = {part["url"]: part for part in one.get("extension", ())}
        reference = parts.pop("template", {}).get("valueReference", {}).get("reference", "")
        if parts:
            raise RuleViolated(
                f"templateExtract with {', '.join(sorted(parts))} is not offered here: identities are given by the server.",
                key="form-extraction-kind",
                code="not-supported",
                expression=f"{place}.extension",
            )
        if reference.removeprefix("#") not in self._contained:
            raise RuleViolated(
                f"templateExtract names {reference!r}; the questionnaire contains no such resource.",
                key="form-template",
                code="not-found",
                expression=f"{place}.extension",
            )
        return str(reference.removeprefix("#"))

    def _of_template(self, given: Given, name: str, place: str) -> Iterator[Extracted]:
        template = {key: part for key, part in self._contained[name].items() if key != "id"}
        variables = variables_of(self._source.form, given.question, self._source.response, self._workshop)
        filler = _Filler(self._source.response, variables, self._workshop, place)
        link_id = given.question.link_id if given.question is not None else ""
        for found, resource in filler.each(template, Node(given.raw)):
            value = plain(found)
            repeats = given.question is not None and given.question.repeats
            key = answer_key(given, value) if isinstance(value, dict) and "linkId" not in value else ""
            if not key and repeats and value is not given.raw:
                key = digest(value)
            urn = self._source.urn(f"template/{name}/{place_key(given)}/{key}")
            identifiers = [*resource.get("identifier", ()), {"system": URI_SYSTEM, "value": urn}]
            yield Extracted(urn, {**resource, "identifier": identifiers}, link_id, key)


class _Filler:
    """Fills one template."""

    def __init__(self, response: Resource, variables: Mapping[str, Any], workshop: Workshop, place: str) -> None:
        self._response = response
        self._variables = variables
        self._workshop = workshop
        self._place = place

    def each(self, element: Resource, context: Node) -> Iterator[tuple[Node, Resource]]:
        """Yield the copies of an element with what each starts from; none when its context finds nothing."""
        for one in self._contexts(element, context):
            filled = self._filled(element, one)
            if filled is not None:
                yield one, filled

    def _contexts(self, element: Resource, context: Node) -> list[Node]:
        expression = _text(element, _CONTEXT)
        return self._found(expression, context) if expression else [context]

    def _filled(self, element: Resource, context: Node) -> Any:
        """Return an element with its values put in, None when it has none to show."""
        expression = _text(element, _VALUE)
        if expression:
            found = [plain(node) for node in self._found(expression, context) if node.value is not None]
            return found[0] if found else None
        filled: Resource = {}
        for name, value in element.items():
            if name.startswith("_"):
                self._primitive(filled, name[1:], value, context)
            elif name == "extension":
                kept = [one for one in value if one.get("url") not in (_CONTEXT, _VALUE)]
                if below := self._many(kept, context):
                    filled[name] = below
            elif isinstance(value, list):
                if below := self._many(value, context):
                    filled[name] = below
            elif isinstance(value, dict):
                one = next((each for _, each in self.each(value, context)), None)
                if one is not None:
                    filled[name] = one
            else:
                filled[name] = value
        return filled or None

    def _many(self, values: list[Any], context: Node) -> list[Any]:
        return [
            one
            for value in values
            for one in ([each for _, each in self.each(value, context)] if isinstance(value, dict) else [value])
        ]

    def _primitive(self, filled: Resource, name: str, beside: Any, context: Node) -> None:
        if not isinstance(beside, dict) or not _text(beside, _VALUE):
            filled[f"_{name}"] = beside
            return
        for one in self._contexts(beside, context)[:1]:
            found = [plain(node) for node in self._found(_text(beside, _VALUE), one) if node.value is not None]
            if found:
                filled[name] = found[0]

    def _found(self, expression: str, context: Node) -> list[Node]:
        return self._workshop.nodes(expression, self._response, self._variables, self._place, context=context)


def _text(element: Resource, url: str) -> str:
    found = extensions(element, url)
    return str(found[0].get("valueString", "")) if found else ""
