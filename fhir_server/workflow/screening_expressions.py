"""FHIRPath as questionnaires use it: N1 with `ordinal`, `weight`, `sum`, `round` and `join`, bounded in work and in time."""

import time
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, Final

from fhir_server.fhirpath import Expression, FhirPathError, HostFunction, Node, compile_expression
from fhir_server.model.errors import FhirError, RuleViolated, TooCostly
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_form import HL7, extension

ORDINAL: Final = HL7 + "ordinalValue"
_BUDGET: Final = 100_000
_SECONDS: Final = 3.0
_MOST_DECIMALS: Final = 10


def _ordinals(values: list[Any]) -> list[Any]:
    found = (extension(value, ORDINAL) for value in values if isinstance(value, dict))
    return [points for points in found if points is not None]


def _numbers(values: list[Any]) -> list[Decimal]:
    if any(isinstance(value, bool) or not isinstance(value, (int, Decimal)) for value in values):
        raise FhirPathError("sum() and round() take numbers.")
    return [Decimal(value) for value in values]


def _sum(values: list[Any]) -> list[Any]:
    numbers = _numbers(values)
    return [sum(numbers, Decimal(0))] if numbers else []


def _round(values: list[Any], precision: list[Any] | None = None) -> list[Any]:
    places = precision[0] if precision else 0
    if not isinstance(places, int) or not 0 <= places <= _MOST_DECIMALS:
        raise FhirPathError(f"round() takes 0 to {_MOST_DECIMALS} decimals.")
    unit = Decimal(1).scaleb(-places)
    return [value.quantize(unit, ROUND_HALF_UP) for value in _numbers(values)]


def _join(values: list[Any], separator: list[Any] | None = None) -> list[Any]:
    between = separator[0] if separator else ""
    if not all(isinstance(value, str) for value in (*values, between)):
        raise FhirPathError("join() takes texts.")
    return [between.join(values)] if values else []


_FUNCTIONS: Final[Mapping[str, HostFunction]] = {
    "ordinal": HostFunction(0, 0, _ordinals),
    "weight": HostFunction(0, 0, _ordinals),
    "sum": HostFunction(0, 0, _sum),
    "round": HostFunction(0, 1, _round),
    "join": HostFunction(0, 1, _join),
}


@lru_cache(maxsize=512)
def _compiled(text: str) -> Expression:
    return compile_expression(text, functions=_FUNCTIONS, budget=_BUDGET)


class Workshop:
    """Evaluates the expressions of one questionnaire for one request; all of them share one bound in time."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _SECONDS

    def nodes(
        self, text: str, resource: Resource, variables: Mapping[str, Any], place: str, *, context: Any = None
    ) -> list[Node]:
        """Evaluate; `place` is the expression of the item, for refusals. Raises RuleViolated or TooCostly."""
        if time.monotonic() > self._until:
            raise TooCostly(
                f"The expressions of the questionnaire take more than {_SECONDS:g} s on these answers. Simplify them.",
                key="form-expression-costly",
                expression=place,
            )
        try:
            return _compiled(text).nodes(resource, context=context, variables=variables, resolver=_nothing)
        except TooCostly as error:
            raise TooCostly(str(error), key="form-expression-costly", expression=place) from error
        except (FhirPathError, ArithmeticError) as error:
            raise RuleViolated(
                f"The expression of {place} cannot be evaluated: {_said(error)}",
                key="form-expression",
                code="processing",
                expression=place,
            ) from error


def _nothing(_: str) -> Resource | None:
    return None


def _said(error: Exception) -> str:
    return error.issues[0].diagnostics if isinstance(error, FhirError) else str(error) or type(error).__name__
