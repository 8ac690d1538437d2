"""The operations of the contract, and how to call each with the client."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from binance_small_liability_api import operations
from binance_small_liability_api.operation import Operation as Generated
from binance_small_liability_api.values import Mismatch, moment

from tools.contract import answer_of, definition_of, resolved, responses, today


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation, and how the client calls it.

    Attributes:
        generated: the operation.
        call: makes the client send it; with an asynchronous client, to be awaited.
        command: the arguments of the command line that call it.
        possible: makes an answer that was generated from the schema consistent.
        returned: what `call` returns of the record in an answer.
        state: the fake's attribute whose value `call` returns, if it has one.
    """

    generated: Generated[..., Any]
    call: Callable[[Any], Any]
    command: tuple[str, ...]
    possible: Callable[[Any], Any] = lambda payload: payload
    returned: Callable[[Any], Any] = lambda record: record
    state: str = ""

    @property
    def name(self) -> str:
        """The contract's operationId."""
        return self.generated.name

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.generated.method

    @property
    def path(self) -> str:
        """The path of its URL."""
        return self.generated.path

    @property
    def repeatable(self) -> bool:
        """Whether the client may send it again after a lost answer."""
        return self.method == "GET"

    @property
    def example(self) -> Any:
        """The first example of a success."""
        [media] = answer_of(today(), self.method, self.path, "200")["content"].values()
        return next(iter(media["examples"].values()))["value"]

    @property
    def body(self) -> bytes:
        """The first example of a success, as JSON."""
        return json.dumps(self.example, default=float).encode()

    @property
    def documented(self) -> Any:
        """What `call` returns for the first example of a success. Raises LookupError."""
        if problem := _problem(self.generated, self.example):
            raise LookupError(f"openapi.yaml: the first example of {self.name}: {problem}")
        return self.returned(self.generated.read(self.example, set()))

    def __str__(self) -> str:
        return self.path if self.method == "GET" else f"{self.method} {self.path}"


def samples(operation: Generated[..., Any]) -> dict[str, Any]:
    """Parameters of a call by their Python names: the contract's examples, else valid values."""
    documented = {
        each["name"]: each
        for each in definition_of(today(), operation.method, operation.path)["parameters"]
    }
    made_up = {"time": 1_800_000_000_000, "boolean": True, "decimal": 1}
    found = {}
    for name, parameter in operation.parameters.items():
        sample = documented[parameter.name].get("example", parameter.default)
        if sample is None and parameter.required:
            text = parameter.allowed[0] if parameter.allowed else "A"
            sample = made_up.get(parameter.kind, [text] if parameter.kind == "array" else text)
            if parameter.kind == "integer":
                sample = parameter.minimum or 1
        if sample is not None:
            found[name] = moment(sample) if parameter.kind == "time" else sample
    return found


def _last_page(payload: Any) -> Any:
    return {**payload, "total": len(payload["rows"])}


LIST_COINS = Operation(
    generated=operations.list_coins,
    call=lambda client: client.list_coins(),
    command=("list",),
    state="coins",
)
EXCHANGE = Operation(
    generated=operations.exchange,
    call=lambda client: client.exchange(["ETH"]),
    command=("exchange", "ETH", "--yes"),
)
LIST_EXCHANGES = Operation(
    generated=operations.list_exchanges,
    call=lambda client: client.list_exchanges(),
    command=("history",),
    possible=_last_page,
    returned=lambda page: page.rows,
    state="exchanges",
)
# The client requests the time only after Binance refused its clock.
SERVER_TIME = Operation(
    generated=operations.server_time,
    call=lambda client: client.list_coins(),
    command=("call", "server_time"),
)
_METHODS = {each.generated: each for each in (LIST_COINS, EXCHANGE, LIST_EXCHANGES)}


def _read(generated: Generated[..., Any]) -> Operation:
    """An operation for which the client has no method. Raises LookupError if it is not a read."""
    if generated.method != "GET":
        raise LookupError(
            f"{generated.name} is a {generated.method}, so `call` refuses it: add a method to both"
            " clients in _client.py, and how to call it to _METHODS in tools/operations.py"
        )
    parameters = samples(generated)
    texts = generated.query(parameters)
    known = generated.parameters
    words = [f"{name}={texts[known[name].name]}" for name in parameters]
    return Operation(
        generated=generated,
        call=lambda client: client.call(generated, **parameters),
        command=("call", generated.name, *words),
    )


# All operations but that of the time.
OPERATIONS = tuple(
    _METHODS.get(each) or _read(each)
    for each in operations.ALL.values()
    if each is not operations.server_time
)
SIGNED = tuple(each for each in OPERATIONS if each.generated.signed)
HISTORY_PATH = LIST_EXCHANGES.path
# The contract's name of the field `time` of an exchange.
TIME_NAME = next(
    name
    for name, schema in today()["components"]["schemas"]["Exchange"]["properties"].items()
    if schema.get("x-public-name", name) == "time"
)


def wrong_examples() -> Iterator[str]:
    """What is wrong with the contract's examples, which the fake answers and the tests expect."""
    for each in operations.ALL.values():
        for status, answer in responses(today(), each.method, each.path).items():
            place = f"openapi.yaml: {each.method} {each.path} {status}"
            for name, header in answer.get("headers", {}).items():
                if "example" not in resolved(today(), header):
                    yield f"{place} header {name}: add an `example`"
            for media in answer.get("content", {}).values():
                if not media.get("examples"):
                    yield f"{place}: add `examples`"
                for name, example in media.get("examples", {}).items():
                    problem = _problem(each, example["value"]) if status == "200" else ""
                    if problem:
                        yield f"{place} example {name}: {problem}; correct it, or the schema"


def _problem(operation: Generated[..., Any], value: Any) -> str:
    unknown: set[str] = set()
    try:
        operation.read(value, unknown)
    except Mismatch as mismatch:
        return str(mismatch)
    return f"not in the schema: {', '.join(sorted(unknown))}" if unknown else ""
