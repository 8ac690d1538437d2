"""Operations and their parameters, as values. Nothing here sends a request."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Generic, Literal, ParamSpec, TypeVar

import attrs

from .values import LATEST, Read, milliseconds, moment, nothing

P = ParamSpec("P")
T = TypeVar("T")
_MOST_DIGITS = 100
_EXPECTED = {
    "integer": "a whole number",
    "time": "an aware datetime, such as datetime(2026, 1, 1, tzinfo=UTC)",
    "decimal": "a Decimal, because a float is not exact",
    "boolean": "True or False",
    "string": "a text",
    "array": "a list of texts",
}


class ParameterError(ValueError):
    """A parameter is wrong, missing or unknown.

    Attributes:
        parameter: its Python name.
        problem: what is wrong with it.
    """

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(f"{parameter} {problem}")
        self.parameter = parameter
        self.problem = problem


@attrs.frozen(kw_only=True)
class Parameter:
    """One parameter of an operation.

    Attributes:
        name: Binance's name.
        kind: the type of its values: int, aware datetime, Decimal, bool, str, or a list of str.
        required: whether a request must contain it.
        default: the value that Binance uses if it is missing.
        minimum: the smallest value (of a time, in milliseconds), or the smallest number of items.
        maximum: the largest one.
        allowed: the allowed texts; empty if all are.
        pattern: the pattern of the text, or of each item.
    """

    name: str
    kind: Literal["integer", "time", "decimal", "boolean", "string", "array"]
    required: bool = False
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    allowed: tuple[str, ...] = ()
    pattern: str = ""

    def text(self, name: str, value: Any) -> str:
        """`value` as Binance reads it. Raises ParameterError, which calls it `name`."""
        problem = f"must be {_EXPECTED[self.kind]}"
        match self.kind, value:
            case "integer", int() if not isinstance(value, bool):
                # An enum's own text is its name.
                problem, text = self._outside(value, problem), str(int(value))
            case "time", _:
                with suppress(ValueError):
                    time = milliseconds(value)
                    problem, text = self._outside(time, "must be a time", _iso), str(time)
            case "decimal", Decimal() | int() if _is_short(Decimal(value)):
                problem, text = "", f"{Decimal(value):f}"
            case "boolean", bool():
                problem, text = "", str(value).lower()
            case "string", str():
                problem, text = self._odd(value), str.__str__(value)
            case "array", list() | tuple() if all(isinstance(item, str) for item in value):
                problem = self._outside(len(value), "must have a number of items")
                problem, text = problem or max(map(self._odd, value or [""])), ",".join(value)
        if problem:
            raise ParameterError(name, problem)
        return text

    def _outside(self, number: int, problem: str, shown: Callable[[int], str] = str) -> str:
        """`problem` with the bounds, unless `number` is within them."""
        least, most = self.minimum, self.maximum
        if (least is None or least <= number) and (most is None or number <= most):
            return ""
        bounds = [f"from {shown(least)}"] if least is not None else []
        bounds += [f"to {shown(most)}"] if most is not None else []
        return f"{problem} {' '.join(bounds)}"

    def _odd(self, text: str) -> str:
        """The problem of a text that is not allowed."""
        if self.allowed and text not in self.allowed:
            return f"must be {' or '.join(self.allowed)}"
        if self.kind == "array" and "," in text:
            return "must not have a comma in an item"
        if not text or not re.search(self.pattern, text):
            return f"must match {self.pattern}" if self.pattern else "must not be empty"
        return ""


def _is_short(value: Decimal) -> bool:
    # Written without an exponent, 1E+30000000 would fill the memory.
    return value.is_finite() and abs(value.adjusted()) <= _MOST_DIGITS


def _iso(time: int) -> str:
    return moment(min(time, LATEST)).isoformat()


@attrs.frozen(kw_only=True, eq=False, repr=False, slots=False)
class Operation(Generic[P, T]):
    """One endpoint: how a request is made and how its success is read.

    Attributes:
        name: the contract's operationId.
        method: the HTTP method.
        path: the path of its URL.
        parameters: by Python name, in the order in which they are sent, without `timestamp`.
        read: the reader of the payload of a success.
        record: the record in a success (the value itself, or its items), or None.
        has_key: whether a request contains the API key.
        signed: whether a request contains a timestamp and a signature.
        weight: request weight of one request.
        limiter: what the weight is counted by, `IP` or `UID`.
        weight_per_minute: the budget of this endpoint; None if it has no budget of its own.
        weight_header: the header that reports the weight used in the current minute, if any.
    """

    name: str
    method: str
    path: str
    parameters: dict[str, Parameter]
    read: Read[T]
    record: type[Any] | None
    has_key: bool
    signed: bool
    weight: int
    limiter: str
    weight_per_minute: int | None
    weight_header: str | None

    @property
    def is_documented(self) -> bool:
        """Whether the contract describes the payload of a success."""
        return self.read is not nothing

    def query(self, given: Mapping[str, object]) -> dict[str, str]:
        """Binance's names and texts for parameters by their Python names; None is left out.

        Raises ParameterError.
        """
        for name in given.keys() - self.parameters.keys():
            known = ", ".join(self.parameters) or "none"
            raise ParameterError(name, f"is not a parameter of {self.name}, which has: {known}")
        query = {}
        for name, parameter in self.parameters.items():
            value = given.get(name)
            if value is not None:
                query[parameter.name] = parameter.text(name, value)
            elif parameter.required:
                raise ParameterError(name, f"is missing; {self.name} needs it")
        return query

    def __repr__(self) -> str:
        return f"<{self.name}: {self.method} {self.path}>"


def operation(*, read: Read[T], **facts: Any) -> Callable[[Callable[P, None]], Operation[P, T]]:
    """Makes an operation with the name, typed parameters and documentation of a function."""

    def make(signature: Callable[P, None]) -> Operation[P, T]:
        made: Operation[P, T] = Operation(name=signature.__name__, read=read, **facts)
        object.__setattr__(made, "__doc__", signature.__doc__)
        return made

    return make
