"""`Operation`: what is specific to an endpoint."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import Generic, NamedTuple, TypeAlias, TypeVar, cast

from binance_small_liability._io.messages import Answer

T = TypeVar("T")
GeneratedFunction: TypeAlias = Callable[..., Awaitable[object]]


class Limiter(StrEnum):
    """What Binance counts request weight by: the IP address, or the account (UID)."""

    IP = "IP"
    UID = "UID"

    @property
    def header(self) -> str:
        """The header in which Binance reports the weight used in the current minute."""
        return f"X-SAPI-USED-{self}-WEIGHT-1M"


class Operation(NamedTuple, Generic[T]):
    """One endpoint.

    Attributes:
        name: the client's method, for messages.
        generated: the generated module, below `binance_small_liability_api.api`.
        result: returns what the caller receives for a success, and the names of unknown fields;
            raises ContractError if the answer is not the documented success.
        weight: request weight of one request.
        limiter: what the weight is counted by.
        weight_per_minute: the budget of this endpoint; None if it has no budget of its own.
        signed: whether the request carries key and signature.
        repeatable: whether it may be sent again although an earlier request may have arrived.
    """

    name: str
    generated: str
    result: Callable[[Answer], tuple[T, set[str]]]
    weight: int
    limiter: Limiter
    weight_per_minute: int | None
    signed: bool = True
    repeatable: bool = True

    @property
    def function(self) -> GeneratedFunction:
        """The generated asynchronous function.

        The first client imports it. Otherwise importing this package would take 8 ms longer, a
        tenth of importing httpx.
        """
        return _function(self.generated)


@cache  # finding the module again takes 1.4 µs
def _function(module: str) -> GeneratedFunction:
    return cast(
        GeneratedFunction, import_module(f"binance_small_liability_api.api.{module}").asyncio
    )
