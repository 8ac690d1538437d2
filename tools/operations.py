"""The operations of the contract, and how to call each with the client."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from binance_small_liability import Coin, Exchange

from tools.contract import LIST_PATH, TIME_PATH, definition_of, today

HISTORY_PATH = f"{LIST_PATH}-history"


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation that the client uses.

    Attributes:
        name: the client's method.
        command: the command of the command line.
        operation_id: the contract's name.
        call: makes the client send it; with an asynchronous client, to be awaited.
        documented: what `call` returns for the first example of a success.
        repeatable: whether the client may send it again after a lost answer.
        possible: makes an answer that was generated from the schema consistent.
        returned: what `call` returns of the record in an answer.
        state: the fake's attribute whose value `call` returns, if it has one.
    """

    name: str
    operation_id: str
    method: str
    path: str
    call: Callable[[Any], Any]
    documented: Any = None
    limiter: str = "IP"
    command: str = ""
    repeatable: bool = True
    possible: Callable[[Any], Any] = lambda payload: payload
    returned: Callable[[Any], Any] = lambda record: record
    state: str = ""

    @property
    def body(self) -> bytes:
        """The first example of a success, as JSON."""
        status = definition_of(today(), self.method, self.path)["responses"]["200"]
        [media] = status["content"].values()
        example = next(iter(media["examples"].values()))
        return json.dumps(example["value"], default=float).encode()

    def __str__(self) -> str:
        return self.path if self.method == "GET" else f"{self.method} {self.path}"


LIST_COINS = Operation(
    name="list_coins",
    operation_id="getSmallLiabilityExchangeCoinList",
    method="GET",
    path=LIST_PATH,
    call=lambda client: client.list_coins(),
    command="list",
    documented=[
        Coin(
            asset="ETH",
            principal=Decimal("0.001"),
            interest=Decimal("0.00083334"),
            liability_asset="USDT",
            liability_qty=Decimal("0.3552"),
        )
    ],
    state="coins",
)

EXCHANGE = Operation(
    name="exchange",
    operation_id="smallLiabilityExchange",
    method="POST",
    path=LIST_PATH,
    call=lambda client: client.exchange(["ETH"]),
    command="exchange",
    limiter="UID",
    repeatable=False,
)


def _last_page(payload: Any) -> Any:
    return {**payload, "total": len(payload["rows"])}


LIST_EXCHANGES = Operation(
    name="list_exchanges",
    operation_id="getSmallLiabilityExchangeHistory",
    method="GET",
    path=HISTORY_PATH,
    call=lambda client: client.list_exchanges(),
    command="history",
    documented=[
        Exchange(
            asset="ETH",
            amount=Decimal("0.00083434"),
            target_asset="BUSD",
            target_amount=Decimal("1.37576819"),
            biz_type="EXCHANGE_SMALL_LIABILITY",
            time=datetime(2023, 1, 4, 3, 2, 19, 253_000, tzinfo=UTC),
        )
    ],
    limiter="UID",
    possible=_last_page,
    returned=lambda page: page.rows,
    state="exchanges",
)

# The operations for which the client has a method.
OPERATIONS = (LIST_COINS, EXCHANGE, LIST_EXCHANGES)
READS = tuple(operation for operation in OPERATIONS if operation.repeatable)

# The client requests the time only after Binance refused its clock.
SERVER_TIME = Operation(
    name="server_time",
    operation_id="getServerTime",
    method="GET",
    path=TIME_PATH,
    call=lambda client: client.list_coins(),
)
