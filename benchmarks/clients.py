"""The clients that are measured, and how each makes the same signed call.

`python -m benchmarks.clients NAME` is one of them in a process, which makes calls on request. It
runs in an environment that may lack every other client, so each is imported where it is used.
"""

import asyncio
import cProfile
import hashlib
import hmac
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
API_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
CREDENTIALS: dict[str, Any] = {"api_key": API_KEY, "api_secret": API_SECRET}

_PATH = "/sapi/v1/margin/exchange-small-liability"
_HEADERS = {"X-MBX-APIKEY": API_KEY}
_UNPACED: dict[str, Any] = {
    "enableRateLimit": False
}  # ccxt would wait between calls, which hides their cost
_WARM_UP = 3  # calls
_PATIENCE = 60  # seconds for one request; a process that takes longer ends


class Client(NamedTuple):
    """One way to make the call.

    Attributes:
        open: makes a client for a base URL, within the event loop if `is_async`; returns a
            function that makes one call.
        environment: the name of its file in `benchmarks/requirements`.
        is_peer: whether it is a library that a user could choose instead.
        is_typed: whether a peer returns objects with checked types.
    """

    open: Callable[[str], Callable[[], Any]]
    environment: str
    is_async: bool = False
    is_peer: bool = False
    is_typed: bool = False


def _signed_target() -> str:
    query = f"recvWindow=5000&timestamp={time.time_ns() // 1_000_000}"
    signature = hmac.new(API_SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"{_PATH}?{query}&signature={signature}"


def _coins(content: bytes) -> list[Any]:
    """Plain tuples: the least work that keeps every amount exact."""
    return [
        (
            coin["asset"],
            Decimal(coin["principal"]),
            Decimal(coin["interest"]),
            coin["liabilityAsset"],
            coin["liabilityQty"],
        )
        for coin in json.loads(content, parse_float=Decimal)
    ]


def _httpx(url: str) -> Callable[[], Any]:
    import httpx

    client = httpx.Client(base_url=url)
    return lambda: _coins(client.get(_signed_target(), headers=_HEADERS).content)


def _httpx_async(url: str) -> Callable[[], Awaitable[Any]]:
    import httpx

    client = httpx.AsyncClient(base_url=url)

    async def call() -> Any:
        return _coins((await client.get(_signed_target(), headers=_HEADERS)).content)

    return call


def _aiohttp(url: str) -> Callable[[], Awaitable[Any]]:
    import aiohttp

    session = aiohttp.ClientSession(headers=_HEADERS)

    async def call() -> Any:
        async with session.get(url + _signed_target()) as response:
            return _coins(await response.read())

    return call


def _ours(url: str) -> Callable[[], Any]:
    from binance_small_liability import SmallLiabilityClient

    return SmallLiabilityClient(**CREDENTIALS, base_url=url).list_coins


def _ours_async(url: str) -> Callable[[], Awaitable[Any]]:
    from binance_small_liability import AsyncSmallLiabilityClient

    return AsyncSmallLiabilityClient(**CREDENTIALS, base_url=url).list_coins


def _ours_aiohttp(url: str) -> Callable[[], Awaitable[Any]]:
    from binance_small_liability import AsyncSmallLiabilityClient
    from binance_small_liability.aiohttp import AiohttpTransport

    transport = AiohttpTransport()
    return AsyncSmallLiabilityClient(**CREDENTIALS, base_url=url, transport=transport).list_coins


def _sdk(url: str) -> Callable[[], Any]:
    from binance_common.configuration import ConfigurationRestAPI
    from binance_sdk_margin_trading.margin_trading import MarginTrading

    settings = ConfigurationRestAPI(**CREDENTIALS, base_path=url)
    api = MarginTrading(config_rest_api=settings).rest_api
    return lambda: api.get_small_liability_exchange_coin_list().data()


def _connector(url: str) -> Any:
    from binance.spot import Spot

    return Spot(**CREDENTIALS, base_url=url).get_small_liability_exchange_coin_list


def _python_binance(url: str) -> Any:
    from binance.client import Client

    client = Client(API_KEY, API_SECRET, ping=False)
    client.MARGIN_API_URL = f"{url}/sapi"
    return client.get_small_liability_exchange_assets


def _python_binance_async(url: str) -> Any:
    from binance.async_client import AsyncClient

    # AsyncClient.create would ask Binance for the time.
    client = AsyncClient(API_KEY, API_SECRET)
    client.MARGIN_API_URL = f"{url}/sapi"
    return client.get_small_liability_exchange_assets


def _ccxt_call(library: Any, url: str, **options: Any) -> Any:
    exchange = library.binance({"apiKey": API_KEY, "secret": API_SECRET, **options})
    exchange.urls["api"]["sapi"] = f"{url}/sapi/v1"
    return exchange.sapi_get_margin_exchange_small_liability


def _ccxt(url: str, **options: Any) -> Any:
    import ccxt

    return _ccxt_call(ccxt, url, **options)


def _ccxt_async(url: str) -> Any:
    import ccxt.async_support

    return _ccxt_call(ccxt.async_support, url, **_UNPACED)


def _typed_binance(url: str) -> Any:
    from typed_binance import Binance

    client = Binance.new(api_key=API_KEY, secret_key=API_SECRET, urls={"spot": {"http": url}})
    return client.spot.http.margin.small_liability_exchange_coins


HTTPX = "httpx, hand-signed"
HTTPX_ASYNC = "httpx, hand-signed (async)"
AIOHTTP = "aiohttp, hand-signed (async)"
OURS = "binance-small-liability"
OURS_ASYNC = "binance-small-liability (async)"
OURS_AIOHTTP = "binance-small-liability[aiohttp] (async)"

_SDK = "binance-sdk-margin-trading"
_TYPED = "typed-binance (async)"
CLIENTS = {
    HTTPX: Client(_httpx, "httpx"),
    OURS: Client(_ours, OURS),
    _SDK: Client(_sdk, _SDK, is_peer=True, is_typed=True),
    "binance-connector": Client(_connector, "binance-connector", is_peer=True),
    "python-binance": Client(_python_binance, "python-binance", is_peer=True),
    "ccxt": Client(partial(_ccxt, **_UNPACED), "ccxt", is_peer=True),
    HTTPX_ASYNC: Client(_httpx_async, "httpx", is_async=True),
    AIOHTTP: Client(_aiohttp, f"{OURS}-aiohttp", is_async=True),
    OURS_ASYNC: Client(_ours_async, OURS, is_async=True),
    OURS_AIOHTTP: Client(_ours_aiohttp, f"{OURS}-aiohttp", is_async=True),
    "python-binance (async)": Client(_python_binance_async, "python-binance", True, is_peer=True),
    "ccxt (async)": Client(_ccxt_async, "ccxt", True, is_peer=True),
    _TYPED: Client(_typed_binance, "typed-binance", True, is_peer=True, is_typed=True),
}
# Each library once, as it is by default.
PACING = {name: CLIENTS[name] for name in (_SDK, "binance-connector", "python-binance", _TYPED)}
PACING["ccxt, with its rate limit"] = Client(_ccxt, "ccxt")


def repeat(runner: asyncio.Runner, call: Callable[[], Any], calls: int, tasks: int) -> Any:
    """Makes calls, in `tasks` if they are asynchronous; returns the last result and seconds."""

    async def work() -> Any:
        for _ in range(calls // tasks):
            result = await call()
        return result

    async def together() -> Any:
        start = perf_counter()
        results = await asyncio.gather(*(work() for _ in range(tasks)))
        return results[-1], perf_counter() - start

    if tasks:
        return runner.run(together())
    start = perf_counter()
    for _ in range(calls):
        result = call()
    return result, perf_counter() - start


def profile(run: Callable[[], Any]) -> list[tuple[str, float]]:
    """The functions that take most of the time of `run`, and their shares."""
    profiler = cProfile.Profile()
    profiler.runcall(run)
    seconds: defaultdict[str, float] = defaultdict(float)
    for entry in profiler.getstats():
        # A function written in C counts as a part of its caller.
        if not isinstance(entry.code, str):
            within = [called for called in entry.calls or () if isinstance(called.code, str)]
            file = entry.code.co_filename.rpartition("site-packages/")[2]
            spent = entry.inlinetime + sum(called.inlinetime for called in within)
            seconds[f"{'/'.join(file.split('/')[-3:])} {entry.code.co_qualname}"] += spent
    total = sum(seconds.values())
    most = sorted(seconds, key=seconds.__getitem__, reverse=True)[:10]
    return [(name, seconds[name] / total) for name in most]


def _answer(runner: asyncio.Runner, call: Callable[[], Any], request: dict[str, Any]) -> Any:
    calls, tasks, coins = request["calls"], request["tasks"], request["coins"]
    # The connections are opened and the code is specialized before the measurement.
    result, _ = repeat(runner, call, max(_WARM_UP, tasks), tasks)
    if len(result) != coins:
        raise ValueError(f"{len(result)} coins arrived instead of {coins}")
    if request["profile"]:
        return profile(lambda: repeat(runner, call, calls, tasks))
    return repeat(runner, call, calls, tasks)[1] / calls


def _serve(client: Client) -> None:
    """Answers each line of JSON with a line of JSON."""
    opened: dict[str, Callable[[], Any]] = {}
    runner = asyncio.Runner()

    async def open_async(url: str) -> Callable[[], Any]:
        return client.open(url)

    for line in sys.stdin:
        signal.alarm(_PATIENCE)
        request = json.loads(line)
        url = request["url"]
        if url not in opened:
            opened[url] = runner.run(open_async(url)) if client.is_async else client.open(url)
        print(json.dumps(_answer(runner, opened[url], request)), flush=True)
        signal.alarm(0)
    # Clients that were never closed would log complaints.
    os._exit(0)


if __name__ == "__main__":
    _serve((CLIENTS | PACING)[sys.argv[1]])
