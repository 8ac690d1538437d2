"""The operations of the contract as the tests call them, and the clients that they call them with."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from binance_small_liability import (
    AsyncSmallLiabilityClient,
    Coin,
    Exchange,
    SmallLiabilityClient,
)
from binance_small_liability.aiohttp import AiohttpTransport

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
API_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
CREDENTIALS: dict[str, Any] = {"api_key": API_KEY, "api_secret": API_SECRET}

# The record of the documented answer.
ETH = Coin(
    asset="ETH",
    principal=Decimal("0.001"),
    interest=Decimal("0.00083334"),
    liability_asset="USDT",
    liability_qty=Decimal("0.3552"),
)
EXCHANGED = Exchange(
    asset="ETH",
    amount=Decimal("0.00083434"),
    target_asset="BUSD",
    target_amount=Decimal("1.37576819"),
    biz_type="EXCHANGE_SMALL_LIABILITY",
    time=datetime(2023, 1, 4, 2, 42, 19, 253_000, tzinfo=UTC),
)


@dataclass(frozen=True)
class Operation:
    """One operation: how to call it with a client, and what its documented answer yields."""

    name: str  # the client's method
    method: str
    path: str
    call: Callable[[Any], Any]
    answer: Any  # the payload of the documented answer
    result: Any
    limiter: str
    repeatable: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def body(self) -> bytes:
        """The documented answer."""
        return json.dumps(self.answer).encode()


LIST_COINS = Operation(
    name="list_coins",
    method="GET",
    path="/sapi/v1/margin/exchange-small-liability",
    call=lambda client: client.list_coins(),
    answer=[
        {
            "asset": "ETH",
            "interest": "0.00083334",
            "principal": "0.001",
            "liabilityAsset": "USDT",
            "liabilityQty": 0.3552,
        }
    ],
    result=[ETH],
    limiter="IP",
)
EXCHANGE = Operation(
    name="exchange",
    method="POST",
    path="/sapi/v1/margin/exchange-small-liability",
    call=lambda client: client.exchange(["ETH"]),
    answer={},
    result=None,
    limiter="UID",
    repeatable=False,
)
LIST_EXCHANGES = Operation(
    name="list_exchanges",
    method="GET",
    path="/sapi/v1/margin/exchange-small-liability-history",
    call=lambda client: client.list_exchanges(),
    answer={
        "total": 1,
        "rows": [
            {
                "asset": "ETH",
                "amount": "0.00083434",
                "targetAsset": "BUSD",
                "targetAmount": "1.37576819",
                "bizType": "EXCHANGE_SMALL_LIABILITY",
                "timestamp": 1672801339253,
            }
        ],
    },
    result=[EXCHANGED],
    limiter="UID",
)
OPERATIONS = [LIST_COINS, EXCHANGE, LIST_EXCHANGES]
READS = [operation for operation in OPERATIONS if operation.repeatable]

# Makes a client with options, calls it as the function says, and closes it.
RunClient: TypeAlias = Callable[..., Any]


def run_sync(call: Callable[[Any], Any], **options: Any) -> Any:
    with SmallLiabilityClient(**CREDENTIALS | options) as client:
        return call(client)


def run_async(call: Callable[[Any], Any], **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncSmallLiabilityClient(**CREDENTIALS | options) as client:
            return await call(client)

    return asyncio.run(run())


def run_aiohttp(call: Callable[[Any], Any], **options: Any) -> Any:
    proxy = options.pop("proxy", None)
    return run_async(call, transport=AiohttpTransport(proxy=proxy), **options)


CLIENTS: dict[str, RunClient] = {"sync": run_sync, "async": run_async, "aiohttp": run_aiohttp}
