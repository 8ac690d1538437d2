"""The operations of the contract, and how the client is asked for each."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from binance_small_liability import Coin, SmallLiabilityClient

from tools.contract import LIST_PATH, TIME_PATH


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation that the client uses."""

    name: str  # the contract's operationId
    method: str
    path: str
    call: Callable[[SmallLiabilityClient], object]  # makes the client send it
    documented: Any = None  # what `call` returns for the first example of a success

    def __str__(self) -> str:
        return self.path if self.method == "GET" else f"{self.method} {self.path}"


LIST_COINS = Operation(
    name="getSmallLiabilityExchangeCoinList",
    method="GET",
    path=LIST_PATH,
    call=lambda client: client.list_coins(),
    documented=[
        Coin(
            asset="ETH",
            principal=Decimal("0.001"),
            interest=Decimal("0.00083334"),
            liability_asset="USDT",
            liability_qty=Decimal("0.3552"),
        )
    ],
)

# Those that the client has a method for.
OPERATIONS = (LIST_COINS,)

# The client asks for the time only after its clock was refused.
SERVER_TIME = Operation(
    name="getServerTime", method="GET", path=TIME_PATH, call=lambda client: client.list_coins()
)
