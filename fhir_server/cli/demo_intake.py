"""How the story of the demo begins: questions, needs, suggestions, and the choice that becomes a referral."""

from datetime import date
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fhir_server.cli.demo_actor import Actor, matches, must, place, text
from fhir_server.cli.demo_script import Script
from fhir_server.cli.demo_stage import Stage
from fhir_server.model.resource import Resource

STEPS = 4
_REASON = "https://w3id.org/social-referral/StructureDefinition/suggestion-reason"
_DISTANCE = "http://hl7.org/fhir/StructureDefinition/location-distance"
_NEAR = "near"
_METRES = 1000
_REASONS_SHOWN = 2
_DIGITS = 9


class Sent(NamedTuple):
    """A referral that was sent: where its ServiceRequest is, its number, and where the needs are by their codes."""

    place: str
    number: str
    needs: dict[str, str]


def begin(practice: Actor, script: Script, stage: Stage) -> Sent:
    """Play from the first question to the referral. Raises UnexpectedAnswer when an answer is not what it must be."""
    _find_questionnaire(practice, script, stage)
    needs = _screen(practice, script, stage)
    _suggest(practice, script, stage)
    request, number = _refer(practice, script, stage)
    return Sent(request, number, needs)


def _find_questionnaire(practice: Actor, script: Script, stage: Stage) -> None:
    stage.step(practice.name, "registers Erdan, and asks which questionnaires are for a referrer in a practice")
    stage.note(place(practice.put(place(script.person), script.person)))
    fitting = "context-type-value=user$referrer&context-type-value=venue$health-practice"
    found = matches(practice.get(f"Questionnaire?status=active&{fitting}&_elements=url,title"), "Questionnaire")
    for questionnaire in found:
        stage.note(f"{place(questionnaire)}: {questionnaire['title']}")
    wanted = script.answers["questionnaire"].partition("|")[0]
    must(wanted in {one["url"] for one in found}, f"{wanted} is among them")


def _screen(practice: Actor, script: Script, stage: Stage) -> dict[str, str]:
    stage.step(practice.name, "asks him how he is doing, and has needs made of his answers")
    answer = practice.post("QuestionnaireResponse/$extract?store=true", script.answers, expect=200)
    must(
        all(entry["response"]["status"].startswith("201") for entry in answer["entry"]),
        "the answers, the findings and the needs are all stored",
    )
    findings, conditions = matches(answer, "Observation"), matches(answer, "Condition")
    stage.note(f"{len(findings)} findings, {len(conditions)} needs with which he wants help")
    needs = {_code(one["code"]): place(one) for one in conditions}
    for one in conditions:
        stage.note(f"{place(one)}: {_code(one['code'])}, in his words: {text(one['code'])}")
    asked = {_code(category) for category in script.request["category"]}
    must(set(needs) == asked, f"the needs are {', '.join(sorted(asked))}")
    return needs


def _suggest(practice: Actor, script: Script, stage: Stage) -> None:
    stage.step(practice.name, "asks who can help with that where he lives; he and she choose")
    query = urlencode(
        {
            "postal-code": script.person["address"][0]["postalCode"],
            "age": _age(script.person, script.answers),
            "language": _code(script.person["communication"][0]["language"]),
        }
    )
    bundle = practice.post(f"HealthcareService/$suggest?{query}", script.answers, expect=200)
    suggested = [entry for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]
    providers = {place(one): one["name"] for one in matches(bundle, "Organization")}
    scores = [entry["search"]["score"] for entry in suggested]
    must(scores == sorted(scores, reverse=True), "the best comes first")
    chosen = {performer["reference"] for performer in script.request["performer"]}
    for entry in suggested:
        service = entry["resource"]
        provider = providers[service["providedBy"]["reference"]]
        stage.note(f"{entry['search']['score']:.3f}  {service['name']} ({provider}), {_distance(entry):.1f} km")
        reasons = "; ".join(_reasons(entry)[:_REASONS_SHOWN])
        stage.note(f"       {reasons}{'  <- chosen' if place(service) in chosen else ''}")
    missing = chosen - {place(entry["resource"]) for entry in suggested}
    must(not missing, f"{', '.join(sorted(missing))} is suggested")


def _refer(practice: Actor, script: Script, stage: Stage) -> tuple[str, str]:
    stage.step(practice.name, "refers Erdan to the services he chose, with his consent, in one call")
    told = practice.post("$refer", script.referral, expect=200)["parameter"]
    values = {one["name"]: one for one in told}
    must(
        {"reference-number", "spoken", "request", "consent"} <= set(values),
        "the answer holds a number and what it made",
    )
    number, spoken = values["reference-number"]["valueString"], values["spoken"]["valueString"]
    must(
        len(number) == _DIGITS and number.isdigit() and spoken.replace(" ", "") == number,
        f"{spoken} is a number of {_DIGITS} digits",
    )
    request = values["request"]["resource"]
    must(request["status"] == "active", f"the ServiceRequest is active, not {request['status']}")
    stage.note(f"{place(request)}, with {values['consent']['valueReference']['reference']}")
    stage.note(f"the number that Erdan can name when he is called: {spoken}")
    return place(request), number


def _reasons(entry: Resource) -> list[str]:
    """Return the reasons of a suggestion in words, best first; the distance has a place of its own."""
    concepts = [one["valueCodeableConcept"] for one in entry["search"].get("extension", ()) if one["url"] == _REASON]
    reasons = [text(concept) for concept in concepts if _code(concept) != _NEAR]
    must(len(reasons) >= _REASONS_SHOWN, f"{place(entry['resource'])} is suggested with its reasons")
    return reasons


def _distance(entry: Resource) -> float:
    """Return the distance of a suggestion in kilometres."""
    found = [one["valueDistance"] for one in entry["search"].get("extension", ()) if one["url"] == _DISTANCE]
    must(found and found[0]["code"] == "m", f"{place(entry['resource'])} is suggested with its distance in metres")
    return float(found[0]["value"]) / _METRES


def _age(person: Resource, answers: Resource) -> int:
    """Return the age in years on the day of the answers."""
    born, day = date.fromisoformat(person["birthDate"]), date.fromisoformat(answers["authored"][:10])
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _code(concept: Any) -> str:
    return str(concept["coding"][0]["code"])
