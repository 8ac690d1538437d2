"""What a test tells the fake to do with the next requests."""

from collections.abc import Callable
from contextlib import suppress

import attrs
import httpx

from ._contract import Contract, Example, Operation
from ._replies import reply

LIST = "/sapi/v1/margin/exchange-small-liability"


@attrs.frozen
class Step:
    """What is to happen to one request; the usual answer where nothing is said."""

    path: str = LIST
    respond: Callable[[int], httpx.Response] | None = None  # takes the used weight
    delay: float = 0.0  # seconds
    drop: bool = False


class Script:
    """Steps are taken in the order they were told, each by one request that passed the checks.

    All take the `path` of the endpoint; by default it is the list of coins, so that a client that
    asks for the time in between does not use them up.
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
        times: int = 1,
        path: str = LIST,
    ) -> None:
        """The next request, or so many `times`, gets an error.

        Args:
            status: the HTTP status, of the contract or not.
            code: Binance's error code; by default that of the contract's first example.
            example: the name of the contract's example.
            retry_after: the header's value; by default that of the contract.
            times: how many requests.
            path: the endpoint.

        Raises:
            ValueError: the contract has no such example or path.
        """
        answer = _error(self._operation(path), status, code, example)

        def respond(used: int) -> httpx.Response:
            return reply(answer, used, status=status, retry_after=retry_after)

        self._steps += [Step(path, respond)] * times

    def malform_next(self, body: bytes = b"{", *, times: int = 1, path: str = LIST) -> None:
        """The next request gets a 200 with this body."""
        answer = self._operation(path).answer(status=200)

        def respond(used: int) -> httpx.Response:
            return reply(answer, used, body=body)

        self._steps += [Step(path, respond)] * times

    def drop_next(self, *, times: int = 1, path: str = LIST) -> None:
        """The connection of the next request is closed without an answer."""
        self._steps += [Step(path, drop=True)] * times

    def delay_next(self, seconds: float, *, times: int = 1, path: str = LIST) -> None:
        """The next request waits so long for its usual answer."""
        self._steps += [Step(path, delay=seconds)] * times

    def _operation(self, path: str) -> Operation:
        for operation in self._contract.operations:
            if operation.path == path:
                return operation
        raise ValueError(f"The contract has no path {path!r}")

    def _next_step(self, path: str) -> Step:
        for index, step in enumerate(self._steps):
            if step.path == path:
                return self._steps.pop(index)
        return Step()


def _error(operation: Operation, status: int, code: int | None, example: str | None) -> Example:
    try:
        return operation.answer(status=status, code=code, example=example)
    except ValueError:
        if example is not None:
            raise
    # Clients must bear what is not documented, too.
    if code is None:
        return Example(str(status), "", "text/html", "", {})
    answer = Example(str(status), "", "application/json", None, {})
    with suppress(ValueError):
        answer = operation.answer(status=status)
    value = {"code": code, "msg": "This is not in the contract."}
    return attrs.evolve(answer, media_type="application/json", value=value)
