"""The types of the public interface, as a user's type checker sees them.

`make lint` checks this file with mypy and pyright, both strict. It is never run. A comment
`type: ignore` marks what must be refused: if it is accepted, the comment is reported as unneeded.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type

import httpx
from binance_small_liability import (
    ApiError,
    AsyncSmallLiabilityClient,
    BudgetDetails,
    ClockSkewError,
    Coin,
    ConfigurationError,
    Exchange,
    IpBanError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    Receipt,
    RequestTimeout,
    RetryDetails,
    SmallLiabilityClient,
    SmallLiabilityError,
    WaitDetails,
    operations,
)
from binance_small_liability.aiohttp import AiohttpTransport
from binance_small_liability.redis import RedisLimits
from binance_small_liability.testing import FakeBinance, ReceivedRequest, no_waiting


def calls(client: SmallLiabilityClient) -> None:
    assert_type(client.list_coins(), list[Coin])
    assert_type(client.list_coins(recv_window=3000), list[Coin])
    assert_type(client.list_exchanges(), list[Exchange])
    assert_type(client.list_exchanges(datetime.now(UTC), end=None), list[Exchange])
    assert_type(client.used_weight, int | None)
    assert_type(client.closed, bool)
    impatient = client.with_options(timeout=5, max_attempts=1, max_retry_wait=0)
    assert_type(impatient.call(operations.list_coins), list[Coin])
    client.with_options(proxy="http://localhost")  # type: ignore[call-arg]
    receipt = client.exchange(["BTC", "ETH"])
    assert_type(receipt, Receipt)
    assert_type(client.confirm(receipt, recv_window=3000), list[Exchange])
    client.confirm(["BTC"])  # type: ignore[arg-type]
    client.exchange(name for name in ("BTC", "ETH"))
    client.exchange({"BTC": 1}, recv_window=3000)
    client.exchange(7)  # type: ignore[arg-type]
    client.list_exchanges("2026-01-01")  # type: ignore[arg-type]
    client.list_coins(3000)  # type: ignore[call-arg]
    assert_type(client.call(operations.list_coins, recv_window=3000), list[Coin])
    assert_type(client.call(operations.list_exchanges, current=1, size=10).rows, list[Exchange])
    client.call(operations.list_coins, recv_windo=3000)  # type: ignore[call-arg]
    client.call(operations.list_exchanges, current=1)  # type: ignore[call-arg]
    client.call(operations.list_exchanges, current="1", size=10)  # type: ignore[arg-type]


async def async_calls(client: AsyncSmallLiabilityClient) -> None:
    assert_type(await client.list_coins(), list[Coin])
    assert_type(await client.list_exchanges(end=datetime.now(UTC)), list[Exchange])
    assert_type(await client.confirm(await client.exchange(("BTC",))), list[Exchange])
    await client.exchange([1])  # type: ignore[list-item]
    assert_type(await client.call(operations.list_coins), list[Coin])
    await client.call(operations.list_coins, recv_windo=3000)  # type: ignore[call-arg]


def sync_clients(fake: FakeBinance) -> None:
    with SmallLiabilityClient(api_key="key", private_key=Path("key.pem")) as client:
        assert_type(client, SmallLiabilityClient)
    assert_type(SmallLiabilityClient.from_env(timeout=5), SmallLiabilityClient)
    SmallLiabilityClient(**fake.credentials, transport=fake.transport())
    SmallLiabilityClient.from_env(
        base_url="https://api1.binance.com",
        recv_window=3000,
        max_attempts=5,
        max_retry_wait=10,
        on_retry=retried,
        on_wait=waited,
        proxy=httpx.Proxy("http://proxy.example:3128"),
        limits=RedisLimits("redis://localhost", scope="address-1"),
    )
    SmallLiabilityClient.from_env(api_secret="secret")  # type: ignore[call-arg]
    SmallLiabilityClient(api_key=b"key")  # type: ignore[arg-type]
    SmallLiabilityClient("key", "secret")  # type: ignore[call-arg]


async def async_clients(fake: FakeBinance) -> None:
    transport = AiohttpTransport(proxy="http://proxy.example:3128")
    async with AsyncSmallLiabilityClient.from_env(transport=transport) as client:
        assert_type(client, AsyncSmallLiabilityClient)
    AsyncSmallLiabilityClient(**fake.credentials, transport=fake.transport())


class Subclass(SmallLiabilityClient):
    """A client of a service."""


def subclasses() -> None:
    assert_type(Subclass.from_env(), Subclass)
    assert_type(Subclass.from_env().with_options(timeout=5), Subclass)


def retried(retry: RetryDetails) -> None:
    assert_type(retry.operation, str)
    assert_type(retry.code, int | None)
    assert_type(retry.attempt, int)
    assert_type(retry.wait, float)
    assert_type(retry.error_class, type[SmallLiabilityError])
    assert_type(retry.status, int | None)


def waited(wait: WaitDetails) -> None:
    assert_type(wait.operation, str)
    assert_type(wait.wait, float)
    assert_type(wait.reason, str)


def budgets(client: AsyncSmallLiabilityClient) -> None:
    assert_type(client.budgets, dict[str, BudgetDetails])
    assert_type(client.budgets["list_coins"].left, int)


def records(coin: Coin, exchange: Exchange) -> None:
    assert_type(coin.asset, str)
    amount: Decimal | None = coin.principal
    assert amount
    assert_type(exchange.time, datetime)
    coin.asset = "BTC"  # type: ignore[misc]


def receipts(receipt: Receipt) -> None:
    assert_type(receipt.assets, tuple[str, ...])
    assert_type(receipt.sent_at, datetime)
    assert_type(receipt.conclusive_at, datetime)
    assert_type(Receipt.from_dict(receipt.to_dict()), Receipt)
    receipt.assets = ()  # type: ignore[misc]


def errors(error: SmallLiabilityError) -> None:
    assert_type(error.attempts, int)
    match error:
        case OutcomeUnknownError():
            assert_type(error.receipt, Receipt)
            assert_type(error.assets, tuple[str, ...])
            assert_type(error.sent_at, datetime)
        case ConfigurationError():
            assert_type(error.option, str)
        case ClockSkewError():
            assert_type(error.offset, int | None)
        case ApiError():
            assert_type(error.status_code, int)
            assert_type(error.code, int | None)
            assert_type(error.msg, str)
            assert_type(error.retry_after, float | None)
            assert_type(error.used_weight, int | None)
            headers: Mapping[str, str] = error.headers
            assert headers
        case _:
            pass


def bases(timeout: RequestTimeout, ban: IpBanError, wrong: ConfigurationError) -> None:
    network: NetworkError = timeout
    limit: RateLimitError = ban
    value: ValueError = wrong
    assert network
    assert limit
    assert value


def fakes(fake: FakeBinance) -> Iterator[str]:
    assert_type(fake.coins, list[Coin])
    assert_type(fake.exchanges, list[Exchange])
    assert_type(fake.requests, list[ReceivedRequest])
    fake.fail_next(503, times=2, operation="exchange", after_effect=True)
    with no_waiting(), fake.serve() as url:
        assert_type(url, str)
        yield url
