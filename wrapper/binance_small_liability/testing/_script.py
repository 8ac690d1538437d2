"""Scripted responses, delays and failures of the fake for the next requests."""

from collections.abc import Callable, Mapping
from contextlib import suppress

import attrs
import httpx

from ._contract import Contract, Example, Operation
from ._replies import reply

# Makes a response from the headers that every answer of the operation has.
Respond = Callable[[Mapping[str, str]], httpx.Response]


@attrs.frozen
class Step:
    """What happens to one request.

    Attributes:
        operation: the operationId; None for any signed operation.
        after_effect: whether it happens after the request has taken effect, instead of before.
        respond: answers instead of the operation.
        delay: seconds to wait before the usual response.
        drop: whether the connection is closed without a response.
    """

    operation: str | None = None
    after_effect: bool = False
    respond: Respond | None = None
    delay: float = 0.0
    drop: bool = False


class Script:
    """Steps, which happen in the order in which they were added, each to one request.

    A step applies to the next signed request, or with `operation`, a name of the contract such as
    `"exchange"`, to the next request of that operation. So a client that asks for the time in
    between does not use a step.

    Requests that the checks or limits refuse do not use a step. By default a step applies before
    the request takes effect: if the exchange fails, is dropped, or its client gives up, it never
    happens. With `after_effect` the step applies afterwards. An exchange that its own rules refuse
    has no effect and does not use such a step.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._steps: list[Step] = []

    def fail_next(
        self,
        status: int,
        *,
        code: int | None = None,
        example: str | None = None,
        retry_after: float | str | None = None,
        headers: Mapping[str, str | None] | None = None,
        times: int = 1,
        operation: str | None = None,
        after_effect: bool = False,
    ) -> None:
        """The next request gets an error, or the next `times` requests.

        Args:
            status: the HTTP status; it need not be in the contract.
            code: Binance's error code; by default that of the contract's first example.
            example: the name of the contract's example.
            retry_after: the header's value; by default that of the contract.
            headers: other headers to set; None removes one, such as the used weight.
            times: the number of requests.
            operation: the operation; by default any signed one.
            after_effect: whether the request takes effect first.

        Raises:
            TypeError: `status` or `code` is not an int.
            ValueError: the contract has no such example or operation.
        """
        if not isinstance(status, int) or not isinstance(code, int | None):
            raise TypeError("status and code must be whole numbers, such as 503 and -1003")
        scripted = dict(headers or {})
        if retry_after is not None:
            scripted["Retry-After"] = str(retry_after)
        operation_id = self._operation_id(operation)
        answer = _error(self._candidates(operation_id), status, code, example)

        def respond(usual: Mapping[str, str]) -> httpx.Response:
            return reply(answer, {**usual, **scripted}, status=status)

        self._steps += [Step(operation_id, after_effect, respond)] * times

    def malform_next(
        self,
        body: bytes = b"{",
        *,
        times: int = 1,
        operation: str | None = None,
        after_effect: bool = True,
    ) -> None:
        """The next request gets a 200 with this body.

        A 200 means that an exchange took effect, so by default it does. If `body` is an error, pass
        `after_effect=False`.
        """
        answer = Example("200", "", "application/json", None, {})

        def respond(usual: Mapping[str, str]) -> httpx.Response:
            return reply(answer, usual, body=body)

        self._steps += [Step(self._operation_id(operation), after_effect, respond)] * times

    def drop_next(
        self, *, times: int = 1, operation: str | None = None, after_effect: bool = False
    ) -> None:
        """The connection of the next request is closed without a response."""
        self._steps += [Step(self._operation_id(operation), after_effect, drop=True)] * times

    def delay_next(
        self,
        seconds: float,
        *,
        times: int = 1,
        operation: str | None = None,
        after_effect: bool = False,
    ) -> None:
        """The usual response to the next request is delayed by `seconds`.

        If the client gives up in the meantime, the request does not take effect, unless
        `after_effect` is set.
        """
        self._steps += [Step(self._operation_id(operation), after_effect, delay=seconds)] * times

    def _operation_id(self, name: str | None) -> str | None:
        """`name`, if it is an operationId. Raises ValueError."""
        if name is None:
            return None
        if name not in self._contract.operations:
            raise ValueError(f"The contract has no operation {name!r}")
        return name

    def _candidates(self, operation_id: str | None) -> list[Operation]:
        operations = self._contract.operations
        if operation_id is not None:
            return [operations[operation_id]]
        return [each for each in operations.values() if each.signed]

    def _take_step(self, operation: Operation, *, after_effect: bool) -> Step | None:
        """Takes the next step for a request, if it happens at this point."""
        for index, step in enumerate(self._steps):
            if step.operation == operation.id or (step.operation is None and operation.signed):
                return self._steps.pop(index) if step.after_effect == after_effect else None
        return None


def _error(
    operations: list[Operation], status: int, code: int | None, example: str | None
) -> Example:
    for operation in operations:
        with suppress(ValueError):
            return operation.answer(status=status, code=code, example=example)
    if example is not None:
        raise ValueError(f"The contract has no response for {status=}, {code=}, {example=}")
    # Servers also send what is not documented, so tests must be able to.
    if code is None:
        return Example(str(status), "", "text/html", "", {})
    answer = Example(str(status), "", "application/json", None, {})
    with suppress(ValueError):
        answer = operations[0].answer(status=status)
    value = {"code": code, "msg": "This is not in the contract."}
    return attrs.evolve(answer, media_type="application/json", value=value)
