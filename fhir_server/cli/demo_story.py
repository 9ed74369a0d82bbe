"""The story of the demo: one referral goes round, and every answer is checked on the way.

A general practice refers Erdan to two organisations, with his consent. Each finds its Task by polling, reads the referral,
accepts, starts, reports back and completes; the practice polls and sees what became of it.
"""

from typing import Any
from urllib.parse import quote

from fhir_server.cli.demo_actor import Actor, UnexpectedAnswer, look_up, matches, must
from fhir_server.cli.demo_script import Part, Script
from fhir_server.cli.demo_stage import Stage
from fhir_server.model.resource import Resource

_STEPS_OF_PRACTICE = 4
_STEPS_OF_ORGANISATION = 6


def number_of_steps(script: Script) -> int:
    """Return how many steps `play` takes."""
    return _STEPS_OF_PRACTICE + _STEPS_OF_ORGANISATION * len(script.parts)


def play(base: str, script: Script, stage: Stage) -> str:
    """Play the referral on a server that holds the example region; return where the ServiceRequest is.

    Raises UnexpectedAnswer when an answer is not what it must be.
    """
    role = look_up(base, script.request["requester"]["reference"])
    practice = _actor(base, role["organization"]["reference"], "referrer", stage)
    try:
        place = _refer(practice, script, stage)
        tasks = _tasks_made(practice, place, script, stage)
        since = max(task["meta"]["lastUpdated"] for task in tasks)
        for number, task in enumerate(tasks):
            _organisation_helps(base, task, script, stage, first=number == 0)
        _see_feedback(practice, place, since, script, stage)
    finally:
        practice.close()
    return place


def _actor(base: str, organization: str, roles: str, stage: Stage) -> Actor:
    return Actor(look_up(base, organization)["name"], base, organization, roles, stage)


def _refer(practice: Actor, script: Script, stage: Stage) -> str:
    stage.step(practice.name, "refers Erdan, with his consent, in one transaction")
    answer = practice.post("", script.referral, expect=200)
    places = []
    for entry in answer["entry"]:
        places.append("/".join(entry["response"]["location"].split("/_history/")[0].split("/")[-2:]))
        stage.note(f"{entry['response']['status']}: {places[-1]}")
    requests = [place for place in places if place.startswith("ServiceRequest/")]
    must(len(requests) == 1, "one ServiceRequest was made")
    return requests[0]


def _tasks_made(practice: Actor, place: str, script: Script, stage: Stage) -> list[Resource]:
    stage.step(practice.name, "looks which Tasks the server made of it")
    tasks = matches(practice.get(f"Task?focus={place}&status=requested&_sort=_lastUpdated"), "Task")
    owners = {task["owner"]["reference"] for task in tasks}
    must(owners == set(script.parts), f"there is one Task for each of {', '.join(script.parts)}")
    for task in tasks:
        stage.note(f"Task/{task['id']} for {task['owner']['reference']}: {task['status']}")
    return tasks


def _organisation_helps(base: str, task: Resource, script: Script, stage: Stage, *, first: bool) -> None:
    organisation = _actor(base, task["owner"]["reference"], "recipient", stage)
    try:
        _receive(organisation, task, stage)
        if first:
            _wrong_move(organisation, task, stage)
        else:
            _stale_move(organisation, task, stage)
        _help(organisation, task, script, stage)
    finally:
        organisation.close()


def _receive(organisation: Actor, task: Resource, stage: Stage) -> None:
    stage.step(organisation.name, "asks what is new for it, and reads the referral")
    found = matches(
        organisation.get(f"Task?owner={organisation.organization}&status=requested&_sort=_lastUpdated"), "Task"
    )
    must([item["id"] for item in found] == [task["id"]], "its poll finds its own Task and no other")
    request = organisation.get(task["focus"]["reference"])
    stage.note(f"asked: {_text(request.get('code'))}")
    for reason in request.get("reasonCode", ()):
        stage.note(f"because: {_text(reason)}")
    person = organisation.get(request["subject"]["reference"])
    stage.note(f"for: {' '.join(person['name'][0]['given'])}, {person['telecom'][0]['value']}")


def _wrong_move(organisation: Actor, task: Resource, stage: Stage) -> None:
    stage.step(organisation.name, "tries to complete what it did not accept: refused, with the legal next states")
    operations: list[Resource] = [{"op": "replace", "path": "/status", "value": "completed"}]
    organisation.patch(_place(task), _version(task), operations, expect=422)


def _stale_move(organisation: Actor, task: Resource, stage: Stage) -> None:
    stage.step(organisation.name, "names a version that is not current: refused, so that nobody overwrites unseen work")
    operations: list[Resource] = [{"op": "replace", "path": "/status", "value": "accepted"}]
    organisation.patch(_place(task), str(int(_version(task)) + 1), operations, expect=412)


def _help(organisation: Actor, task: Resource, script: Script, stage: Stage) -> None:
    part: Part = script.parts[organisation.organization]
    stage.step(organisation.name, "accepts")
    accepted = organisation.patch(_place(task), _version(task), script.accept)
    _is_now(accepted, "accepted", stage)
    stage.step(organisation.name, "has reached him, and starts")
    started = organisation.patch(_place(task), _version(accepted), script.start)
    _is_now(started, "in-progress", stage)
    stage.step(organisation.name, "writes to the practice what came of it")
    message = organisation.put(_place(part.feedback), part.feedback)
    stage.note(f"{_place(message)}: {message['payload'][0]['contentString']}")
    stage.step(organisation.name, "completes its Task, with that message as the output")
    _is_now(organisation.patch(_place(task), _version(started), part.complete), "completed", stage)


def _see_feedback(practice: Actor, place: str, since: str, script: Script, stage: Stage) -> None:
    stage.step(practice.name, "asks what changed since it referred")
    found = matches(practice.get(f"Task?focus={place}&_lastUpdated=gt{quote(since)}&_sort=_lastUpdated"), "Task")
    must(len(found) == len(script.parts), "every Task changed")
    for task in found:
        _is_now(task, "completed", stage)
    stage.step(practice.name, "reads the feedback, and finds its referral completed")
    for task in found:
        message = practice.get(task["output"][0]["valueReference"]["reference"])
        stage.note(message["payload"][0]["contentString"])
    request = practice.get(place)
    must(request["status"] == "completed", f"the ServiceRequest is completed, not {request['status']}")
    stage.note(f"{place} is {request['status']}, version {_version(request)}")


def _is_now(task: Resource, status: str, stage: Stage) -> None:
    must(task["status"] == status, f"{_place(task)} is {status}, not {task['status']}")
    business = f" ({_text(task['businessStatus'])})" if "businessStatus" in task else ""
    stage.note(f"{_place(task)} is {status}{business}, version {_version(task)}")


def _place(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _version(resource: Resource) -> str:
    return str(resource["meta"]["versionId"])


def _text(concept: Any) -> str:
    try:
        return str(concept.get("text") or concept["coding"][0].get("display") or concept["coding"][0]["code"])
    except (AttributeError, LookupError) as error:
        raise UnexpectedAnswer(f"{concept!r} has neither text nor code") from error
