"""What answers say, for the practice that asked them: scores with their bands, the risk class, when to ask again, and the needs.

All of it is what `$extract` makes of the response, with the rights of the visitor; nothing is stored.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from fhir_server.http.pages.offered import every_item, makes_needs
from fhir_server.http.pages.questions import text_of
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import NEED, OWN, Labels, code_of, labels, said
from fhir_server.model.errors import FhirError
from fhir_server.model.resource import Resource

SOMEBODY: Final[Resource] = {"type": "Patient", "display": "-"}
"""Stands in for the person, who is named on a later page."""
_POINTS: Final = ("{score}", "score")
"""A unit that says nothing to a reader."""


class Score(NamedTuple):
    """One line: what was measured, the value, and what it means ("" where the questionnaire says nothing of that)."""

    name: str
    value: str
    meaning: str


class Reading(NamedTuple):
    """What answers say, in the language of the visit."""

    questionnaire: str
    """Its id here, "" when it is not known."""
    scores: list[Score]
    risks: list[str]
    again: str
    """The day from which the person is asked again, "" for none."""
    needs: tuple[str, ...] | None
    """Codes of the needs that `$extract` makes; None where the questionnaire leaves them to who ticks them."""


async def read_answers(visit: Visit, response: Resource) -> Reading | None:
    """Return what a response says, None when the server does not take it any more."""
    try:
        extracted = await extract(visit, response)
        return await reading_of(visit, await questionnaire_of(visit, response), extracted)
    except FhirError:  # the questionnaire changed since: sending the referral tells what is wrong
        return None


async def extract(visit: Visit, response: Resource) -> Resource:
    """Return the transaction that a response about nobody yet gives rise to. Raises FhirError as `$extract` refuses."""
    return await visit.fhir.post("QuestionnaireResponse/$extract", response | {"subject": SOMEBODY})


async def questionnaire_of(visit: Visit, response: Resource) -> Resource:
    """Return the questionnaire of a response as the visitor sees it, {} when there is none."""
    url, _, version = str(response.get("questionnaire", "")).partition("|")
    wanted = (("url", url), *((("version", version),) if version else ()), ("_count", "1"))
    found = await visit.fhir.search("Questionnaire", *wanted) if url else None
    return found.matches[0] if found and found.matches else {}


async def reading_of(visit: Visit, questionnaire: Resource, extracted: Resource) -> Reading:
    """Return what the resources of an extraction say."""
    made = [one["resource"] for one in extracted.get("entry", ()) if "resource" in one]
    words = await _Words.of(visit, questionnaire)
    again = [_start(one) for one in made if one["resourceType"] == "Task"]
    return Reading(
        str(questionnaire.get("id", "")),
        [words.score(one) for one in made if one["resourceType"] == "Observation" and _is_score(one)],
        [
            words.meaning(one["qualitativeRisk"])
            for assessment in made
            if assessment["resourceType"] == "RiskAssessment"
            for one in assessment.get("prediction", ())
            if "qualitativeRisk" in one
        ],
        next((visit.texts.day(one) for one in sorted(filter(None, again))), ""),
        tuple(_needs(made)) if makes_needs(questionnaire) else None,
    )


def _needs(made: Iterable[Resource]) -> dict[str, None]:
    needs = [one for one in made if one["resourceType"] == "Condition"]
    return dict.fromkeys(code for one in needs if (code := code_of(one.get("code"), NEED)))


def _start(task: Resource) -> str:
    return str(((task.get("restriction") or {}).get("period") or {}).get("start", ""))


def _is_score(observation: Resource) -> bool:
    codings = (coding for category in observation.get("category", ()) for coding in category.get("coding", ()))
    return any(one.get("code") == "survey" for one in codings)


class _Words(NamedTuple):
    """Says what was measured and what it means, in the language of a visit."""

    visit: Visit
    known: Labels
    items: Mapping[tuple[Any, Any], Resource]
    """(system, code) → the item that has it."""

    @staticmethod
    async def of(visit: Visit, questionnaire: Resource) -> "_Words":
        known: dict[str, str] = {}
        for value_set in ("screening-measure", "screening-result", "risk-class", "life-domain"):
            known |= labels(await visit.fhir.choices(value_set))
        return _Words(visit, known, dict(_coded(questionnaire)))

    def score(self, observation: Resource) -> Score:
        """Return an observation as a line."""
        meaning = next((self.meaning(one) for one in observation.get("interpretation", ())), "")
        return Score(self._name(observation["code"]), self._value(observation), meaning)

    def meaning(self, concept: Resource) -> str:
        """Return a band: by our code, else by the translation that the questionnaire brings."""
        for coding in concept.get("coding", ()):
            if "_display" in coding and not str(coding.get("system", "")).startswith(OWN):
                return text_of(coding, "display", self.visit.texts.language)
        return said(concept, self.known)

    def _name(self, concept: Resource) -> str:
        ours = any(
            coding.get("code") in self.known and str(coding.get("system", "")).startswith(OWN)
            for coding in concept.get("coding", ())
        )
        if not ours:
            for coding in concept.get("coding", ()):
                item = self.items.get((coding.get("system"), coding.get("code")))
                if item is not None and "text" in item:
                    return text_of(item, "text", self.visit.texts.language)
        return said(concept, self.known)

    def _value(self, observation: Resource) -> str:
        texts = self.visit.texts
        value = next((part for name, part in observation.items() if name.startswith("value")), "")
        if isinstance(value, bool):
            return texts("yes") if value else texts("no")
        if isinstance(value, dict) and "value" in value:
            unit = "" if value.get("code") in _POINTS else str(value.get("unit") or value.get("code") or "")
            return f"{texts.number(value['value'])} {unit}".strip()
        if isinstance(value, dict):
            return self.meaning(value)
        return str(value)


def _coded(questionnaire: Resource) -> Iterator[tuple[tuple[Any, Any], Resource]]:
    for item in every_item(questionnaire):
        for coding in item.get("code", ()):
            yield (coding.get("system"), coding.get("code")), item
