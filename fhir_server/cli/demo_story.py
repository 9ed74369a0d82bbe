"""The story of the demo: one referral goes round, and every answer is checked on the way.

A general practice asks Erdan what he needs, learns which services fit, and refers him to two of them with his consent. Each
organisation finds its Task by polling, reads the referral, accepts, starts, reports back and completes; the practice polls
and sees what became of it, and when somebody will ask him again.
"""

from datetime import date
from urllib.parse import quote

from fhir_server.cli.demo_actor import Actor, look_up, matches, must, place, text
from fhir_server.cli.demo_intake import STEPS, Sent, begin
from fhir_server.cli.demo_script import Part, Script
from fhir_server.cli.demo_stage import Stage
from fhir_server.model.resource import Resource

_STEPS_OF_PRACTICE = STEPS + 4
_STEPS_OF_ORGANISATION = 6
_DAYS_OF_THREE_MONTHS = range(88, 94)
"""From 89 to 92, and a day for the zone in which a date is told."""


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
        sent = begin(practice, script, stage)
        tasks = _tasks_made(practice, sent, script, stage)
        since = max(task["meta"]["lastUpdated"] for task in tasks)
        script = script.about(sent.needs)
        for number, task in enumerate(tasks):
            _organisation_helps(base, task, script, stage, first=number == 0)
        _see_feedback(practice, sent.place, since, script, stage)
        _see_follow_up(practice, sent, script, stage)
    finally:
        practice.close()
    return sent.place


def _actor(base: str, organization: str, roles: str, stage: Stage) -> Actor:
    return Actor(look_up(base, organization)["name"], base, organization, roles, stage)


def _tasks_made(practice: Actor, sent: Sent, script: Script, stage: Stage) -> list[Resource]:
    stage.step(practice.name, "looks by the number which Tasks the server made of it")
    tasks = matches(practice.get(f"Task?identifier={sent.number}&status=requested&_sort=_lastUpdated"), "Task")
    must(all(task["focus"]["reference"] == sent.place for task in tasks), f"each is for {sent.place}")
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
    stage.note(f"asked: {text(request.get('code'))}")
    for reason in request.get("reasonCode", ()):
        stage.note(f"because: {text(reason)}")
    person = organisation.get(request["subject"]["reference"])
    stage.note(f"for: {' '.join(person['name'][0]['given'])}, {person['telecom'][0]['value']}")


def _wrong_move(organisation: Actor, task: Resource, stage: Stage) -> None:
    stage.step(organisation.name, "tries to complete what it did not accept: refused, with the legal next states")
    operations: list[Resource] = [{"op": "replace", "path": "/status", "value": "completed"}]
    organisation.patch(place(task), _version(task), operations, expect=422)


def _stale_move(organisation: Actor, task: Resource, stage: Stage) -> None:
    stage.step(organisation.name, "names a version that is not current: refused, so that nobody overwrites unseen work")
    operations: list[Resource] = [{"op": "replace", "path": "/status", "value": "accepted"}]
    organisation.patch(place(task), str(int(_version(task)) + 1), operations, expect=412)


def _help(organisation: Actor, task: Resource, script: Script, stage: Stage) -> None:
    part: Part = script.parts[organisation.organization]
    stage.step(organisation.name, "accepts")
    accepted = organisation.patch(place(task), _version(task), script.accept)
    _is_now(accepted, "accepted", stage)
    stage.step(organisation.name, "has reached him, and starts")
    started = organisation.patch(place(task), _version(accepted), script.start)
    _is_now(started, "in-progress", stage)
    stage.step(organisation.name, "writes to the practice what came of it")
    message = organisation.put(place(part.feedback), part.feedback)
    stage.note(f"{place(message)}: {message['payload'][0]['contentString']}")
    stage.step(organisation.name, "completes its Task, with that message as the output")
    _is_now(organisation.patch(place(task), _version(started), part.complete), "completed", stage)


def _see_feedback(practice: Actor, request_at: str, since: str, script: Script, stage: Stage) -> None:
    stage.step(practice.name, "asks what changed since it referred")
    found = matches(
        practice.get(f"Task?focus={request_at}&code=fulfill&_lastUpdated=gt{quote(since)}&_sort=_lastUpdated"), "Task"
    )
    must(len(found) == len(script.parts), "every Task changed")
    for task in found:
        _is_now(task, "completed", stage)
    stage.step(practice.name, "reads the feedback, and finds its referral completed")
    for task in found:
        message = practice.get(task["output"][0]["valueReference"]["reference"])
        stage.note(message["payload"][0]["contentString"])
    request = practice.get(request_at)
    must(request["status"] == "completed", f"the ServiceRequest is completed, not {request['status']}")
    stage.note(f"{request_at} is {request['status']}, version {_version(request)}")


def _see_follow_up(practice: Actor, sent: Sent, script: Script, stage: Stage) -> None:
    stage.step(practice.name, "sees when somebody asks him again, as the plan of its referral says")
    found = matches(practice.get(f"Task?identifier={sent.number}&code=follow-up&status=requested"), "Task")
    must(len(found) == 1, "the end of the referral made one follow-up Task")
    period, owner = found[0]["restriction"]["period"], found[0]["owner"]["reference"]
    begins = date.fromisoformat(period["start"][:10])
    days = (begins - date.fromisoformat(found[0]["authoredOn"][:10])).days
    must(days in _DAYS_OF_THREE_MONTHS, f"it begins in three months, not in {days} days")
    must(owner in script.parts, f"one that helped asks, not {owner}")
    stage.note(f"{place(found[0])} for {owner}: from {period['start'][:10]} to {period['end'][:10]}")


def _is_now(task: Resource, status: str, stage: Stage) -> None:
    must(task["status"] == status, f"{place(task)} is {status}, not {task['status']}")
    business = f" ({text(task['businessStatus'])})" if "businessStatus" in task else ""
    stage.note(f"{place(task)} is {status}{business}, version {_version(task)}")


def _version(resource: Resource) -> str:
    return str(resource["meta"]["versionId"])
