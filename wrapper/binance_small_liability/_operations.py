"""The endpoints.

Weights and budgets repeat the contract's; tests/contract/test_operations.py compares them.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ._call.operation import Limiter, Operation
from ._errors import ConfigurationError, ContractError
from ._io.messages import Answer
from ._records import EARLIEST_TIME, LATEST_TIME, Coin, ExchangePage, Mismatch, Reader

T = TypeVar("T")


def _documented(kind: Any) -> Callable[[Answer], tuple[Any, set[str]]]:
    """The `result` of an endpoint that answers with a 200 and a payload of `kind`."""
    reader: Reader[Any] = Reader(kind)

    def result(answer: Answer) -> tuple[Any, set[str]]:
        if answer.status_code != 200:
            raise ContractError(f"HTTP {answer.status_code} is not in the contract")
        try:
            return reader.read(answer.json())
        except Mismatch as mismatch:
            problem = str(mismatch)
        raise ContractError(f"The answer breaks the contract at {problem}")

    return result


def _accepted(answer: Answer) -> tuple[None, set[str]]:
    # The body is not documented. The generated parser receives one that it can read.
    answer.status_code, answer.content = 200, b"null"
    return None, set()


def _server_time(answer: Answer) -> tuple[int, set[str]]:
    time = answer.field("serverTime") if answer.status_code == 200 else None
    if type(time) is not int or not EARLIEST_TIME <= time <= LATEST_TIME:
        raise ContractError(f"HTTP {answer.status_code} without a time")
    return time, set()


LIST_COINS: Operation[list[Coin]] = Operation(
    name="list_coins",
    generated="margin.get_small_liability_exchange_coin_list",
    result=_documented(list[Coin]),
    weight=100,
    limiter=Limiter.IP,
    weight_per_minute=12_000,
)

EXCHANGE: Operation[None] = Operation(
    name="exchange",
    generated="margin.small_liability_exchange",
    result=_accepted,
    weight=3_000,
    limiter=Limiter.UID,
    weight_per_minute=180_000,
    repeatable=False,
)

LONGEST_NAME = 100  # characters
MOST_ASSETS = 10  # in one exchange; the contract says so in x-rules


def checked_assets(assets: Iterable[str]) -> tuple[str, ...]:
    """The names of the assets to exchange. Raises ConfigurationError."""
    if isinstance(assets, str | bytes) or not isinstance(assets, Iterable):
        raise ConfigurationError("assets", 'must be a list of names, such as ["BTC", "ETH"]')
    names = tuple(assets)
    if not 1 <= len(names) <= MOST_ASSETS:
        raise ConfigurationError("assets", f"must hold 1 to {MOST_ASSETS} names, not {len(names)}")
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError("assets", "must hold names that are not blank")
        if len(name) > LONGEST_NAME:
            raise ConfigurationError("assets", f"holds a name of over {LONGEST_NAME} characters")
        if "," in name or name != name.strip() or not name.isprintable():
            raise ConfigurationError(
                "assets", f"holds {name!r}; remove commas, control characters and spaces around it"
            )
    if len(set(names)) < len(names):
        raise ConfigurationError("assets", "holds a name twice; remove the duplicate")
    return names


def exchanging(names: tuple[str, ...], recv_window: int) -> dict[str, Any]:
    """The arguments of an exchange: Binance expects one string, joined by commas."""
    return {"asset_names": ",".join(names), "recv_window": recv_window}


LIST_EXCHANGES: Operation[ExchangePage] = Operation(
    name="list_exchanges",
    generated="margin.get_small_liability_exchange_history",
    result=_documented(ExchangePage),
    weight=100,
    limiter=Limiter.UID,
    weight_per_minute=180_000,
)

# Its weight counts against a budget that all of /api shares, so it has none of its own.
SERVER_TIME: Operation[int] = Operation(
    name="/api/v3/time",
    generated="general.get_server_time",
    result=_server_time,
    weight=1,
    limiter=Limiter.IP,
    weight_per_minute=None,
    signed=False,
)


def import_generated() -> None:
    """Imports the generated code, so that a call does not have to."""
    for operation in (LIST_COINS, EXCHANGE, LIST_EXCHANGES, SERVER_TIME):
        _ = operation.function
