"""Which questions are open, given the answers so far: enableWhen with all its operators (R4 questionnaire.html#enableWhen)."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.workflow.screening_form import Form, Question

_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
}
_DATES: Final = frozenset({"valueDate", "valueDateTime"})


class Given:
    """An item of a response, and where it stands. `question` is None for an item that the questionnaire lacks."""

    __slots__ = ("below", "by_id", "over", "path", "question", "raw")

    def __init__(self, raw: Resource, path: str, question: Question | None, over: "Given | None") -> None:
        self.raw = raw
        self.path = path
        self.question = question
        self.over = over
        self.below: list[Given] = []
        self.by_id: dict[str, list[Given]] = {}
        """linkId → items of that name anywhere within."""

    @property
    def answers(self) -> list[Resource]:
        """The answers that have a value."""
        return [answer for answer in self.raw.get("answer", ()) if value_of(answer)[0]]


def read_given(form: Form, response: Resource) -> Given:
    """Read a response into its tree; the root has the item of no question."""
    root = Given(response, "QuestionnaireResponse", None, None)
    _grow(form, root, response, root.path)
    return root


def everywhere(given: Given) -> Iterator[Given]:
    """Yield every item below one, in the order of the response."""
    for one in given.below:
        yield one
        yield from everywhere(one)


def value_of(answer: Resource) -> tuple[str, Any]:
    """Return the member of an answer that holds its value, and the value; `("", None)` when it has none."""
    return next(((name, answer[name]) for name in answer if name.startswith("value")), ("", None))


class Flow:
    """Tells for each question of a response whether it is enabled; each is worked out once."""

    def __init__(self, form: Form, root: Given) -> None:
        self._form = form
        self._root = root
        self._known: dict[tuple[str, Given], bool] = {}
        for link_id in form.order:  # what others rest on comes first, so that a long chain does not recurse deeply
            for given in root.by_id.get(link_id, ()):
                if given.question is not None and given.over is not None:
                    self.enabled(given.question, given.over)

    def enabled(self, question: Question, over: Given) -> bool:
        """Tell whether a question is enabled where it stands, or would stand, below `over`."""
        key = (question.link_id, over)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._parent_open(over) and self._conditions(question, over)
        return known

    def _parent_open(self, over: Given) -> bool:
        return over.over is None or over.question is None or self.enabled(over.question, over.over)

    def _conditions(self, question: Question, over: Given) -> bool:
        conditions = question.raw.get("enableWhen", ())
        if not conditions:
            return True
        results = (self._holds(condition, over) for condition in conditions)
        return all(results) if question.raw.get("enableBehavior") == "all" else any(results)

    def _holds(self, condition: Resource, over: Given) -> bool:
        values = [
            value_of(answer)
            for given in self._nearest(condition["question"], over)
            if given.question is not None and given.over is not None and self.enabled(given.question, given.over)
            for answer in given.answers
        ]
        name = next(name for name in condition if name.startswith("answer"))
        asked = (f"value{name.removeprefix('answer')}", condition[name])
        match condition["operator"]:
            case "exists":
                return bool(values) is asked[1]
            case "=":
                return any(same(value, asked) for value in values)
            case "!=":
                return not any(same(value, asked) for value in values)
            case order:
                return any(_in_order(order, value, asked) for value in values)

    def _nearest(self, link_id: str, over: Given) -> list[Given]:
        """Return the occurrences of a question that are nearest: within the closest group around that has any."""
        one: Given | None = over
        while one is not None:
            if found := one.by_id.get(link_id):
                return found
            if one.question is not None and one.question.link_id == link_id:
                return [one]
            one = one.over
        return []


def same(left: tuple[str, Any], right: tuple[str, Any]) -> bool:
    """Tell whether two answers are equal; a coding by system and code, where one lacks a system by code."""
    (kind, one), (other_kind, other) = left, right
    if kind == other_kind == "valueCoding":
        systems = {one.get("system"), other.get("system")} - {None}
        return one.get("code") == other.get("code") and len(systems) <= 1
    if kind == other_kind == "valueQuantity":
        return _unit(one) == _unit(other) and one.get("value") == other.get("value")
    if kind == other_kind == "valueReference":
        return bool(one.get("reference") == other.get("reference"))
    if {kind, other_kind} <= {"valueInteger", "valueDecimal"}:
        return Decimal(one) == Decimal(other)
    return bool(one == other) and kind == other_kind


def _in_order(order: str, left: tuple[str, Any], right: tuple[str, Any]) -> bool:
    (kind, one), (other_kind, other) = left, right
    compare = _ORDERS[order]
    if kind == other_kind == "valueQuantity":
        known = "value" in one and "value" in other and _unit(one) == _unit(other)
        return known and compare(one["value"], other["value"])
    if {kind, other_kind} <= _DATES:
        return compare(parse_temporal(one).lo, parse_temporal(other).lo)
    numbers = {kind, other_kind} <= {"valueInteger", "valueDecimal"}
    return compare(one, other) if numbers or (kind == other_kind and isinstance(one, str)) else False


def _unit(quantity: Resource) -> tuple[Any, Any]:
    return (quantity.get("system"), quantity["code"]) if "code" in quantity else (None, quantity.get("unit"))


def _grow(form: Form, over: Given, holder: Resource, path: str) -> None:
    for index, raw in enumerate(holder.get("item", ())):
        here = f"{path}.item[{index}]"
        given = Given(raw, here, form.questions.get(raw["linkId"]), over)
        over.below.append(given)
        _grow(form, given, raw, here)
        for position, answer in enumerate(raw.get("answer", ())):
            _grow(form, given, answer, f"{here}.answer[{position}]")
        one: Given | None = over
        while one is not None:
            one.by_id.setdefault(raw["linkId"], []).append(given)
            one = one.over
