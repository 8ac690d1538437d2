"""The clients that are measured, and how each makes the same signed call.

`python -m benchmarks.clients NAME URL` is one of them in a process, which makes calls on request.
It runs in an environment that may lack every other client, so each is imported where it is used.
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
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from importlib import import_module
from operator import itemgetter
from time import perf_counter
from typing import Any, NamedTuple

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
API_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
CREDENTIALS: dict[str, Any] = {"api_key": API_KEY, "api_secret": API_SECRET}
REDIS_URL = "BENCHMARK_REDIS_URL"  # the environment variable
KEY = "key"  # in Redis; its value is one byte

_HEADERS = {"X-MBX-APIKEY": API_KEY}
_WARM_UP = 3  # calls
_PATIENCE = 60  # seconds for one request; a process that takes longer ends


class Client(NamedTuple):
    """One way to make the call.

    Attributes:
        open: makes a client for a base URL, in the event loop if it is asynchronous; returns the
            function that makes one call.
        environment: the name of its file in `benchmarks/requirements`; "" for the project's own.
        is_peer: whether it is a library that a user could choose instead.
        is_typed: whether a peer returns objects with checked types.
    """

    open: Callable[[str], Callable[[], Any]]
    environment: str
    is_peer: bool = False
    is_typed: bool = False


def is_async(name: str) -> bool:
    """Whether the client with this name is asynchronous."""
    return name.endswith("(async)")


def _signed_target() -> str:
    query = f"recvWindow=5000&timestamp={time.time_ns() // 1_000_000}"
    signature = hmac.new(API_SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"/sapi/v1/margin/exchange-small-liability?{query}&signature={signature}"


def _coins(content: bytes) -> list[Any]:
    """Plain tuples: the least work that keeps every amount exact."""
    names = ("asset", "principal", "interest", "liabilityAsset", "liabilityQty")
    listed = json.loads(content, parse_float=Decimal)
    return [
        (asset, Decimal(principal), Decimal(interest), liability_asset, quantity)
        for asset, principal, interest, liability_asset, quantity in map(itemgetter(*names), listed)
    ]


def _httpx(url: str) -> Any:
    import httpx

    client = httpx.Client(base_url=url)
    return lambda: _coins(client.get(_signed_target(), headers=_HEADERS).content)


def _httpx_async(url: str) -> Any:
    import httpx

    client = httpx.AsyncClient(base_url=url)

    async def call() -> Any:
        return _coins((await client.get(_signed_target(), headers=_HEADERS)).content)

    return call


def _aiohttp(url: str) -> Any:
    import aiohttp

    session = aiohttp.ClientSession(headers=_HEADERS)

    async def call() -> Any:
        async with session.get(url + _signed_target()) as response:
            return _coins(await response.read())

    return call


def _ours(url: str, kind: str = "SmallLiabilityClient", **options: Any) -> Any:
    client = getattr(import_module("binance_small_liability"), kind)
    return client(**CREDENTIALS, base_url=url, **options).list_coins


_ours_async = partial(_ours, kind="AsyncSmallLiabilityClient")


def _ours_aiohttp(url: str) -> Any:
    from binance_small_liability.aiohttp import AiohttpTransport

    return _ours_async(url, transport=AiohttpTransport())


def _ours_shared(url: str, open_client: Callable[..., Any]) -> Any:
    from binance_small_liability.redis import RedisLimits

    return open_client(url, limits=RedisLimits(os.environ[REDIS_URL]))


def _get(_: str, module: str = "redis") -> Any:
    return partial(import_module(module).Redis.from_url(os.environ[REDIS_URL]).get, KEY)


def _sdk(url: str) -> Any:
    from binance_common.configuration import ConfigurationRestAPI
    from binance_sdk_margin_trading.margin_trading import MarginTrading

    settings = ConfigurationRestAPI(**CREDENTIALS, base_path=url)
    api = MarginTrading(config_rest_api=settings).rest_api
    return lambda: api.get_small_liability_exchange_coin_list().data()


def _connector(url: str) -> Any:
    from binance.spot import Spot

    return Spot(**CREDENTIALS, base_url=url).get_small_liability_exchange_coin_list


def _python_binance(url: str, kind: str, **options: Any) -> Any:
    client = getattr(import_module("binance"), kind)(API_KEY, API_SECRET, **options)
    client.MARGIN_API_URL = f"{url}/sapi"
    return client.get_small_liability_exchange_assets


def _ccxt(url: str, module: str = "ccxt", *, is_paced: bool = False) -> Any:
    # Its pacing would hide what a call costs.
    options = {"apiKey": API_KEY, "secret": API_SECRET, "enableRateLimit": is_paced}
    client = import_module(module).binance(options)
    client.urls["api"]["sapi"] = f"{url}/sapi/v1"
    return client.sapi_get_margin_exchange_small_liability


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

_SDK, _PYTHON = "binance-sdk-margin-trading", "python-binance"
_TYPED = "typed-binance (async)"
CLIENTS = {
    HTTPX: Client(_httpx, "httpx"),
    OURS: Client(_ours, OURS),
    _SDK: Client(_sdk, _SDK, is_peer=True, is_typed=True),
    "binance-connector": Client(_connector, "binance-connector", is_peer=True),
    # Without `ping` it sends nothing to Binance.
    _PYTHON: Client(partial(_python_binance, kind="Client", ping=False), _PYTHON, is_peer=True),
    "ccxt": Client(_ccxt, "ccxt", is_peer=True),
    HTTPX_ASYNC: Client(_httpx_async, "httpx"),
    AIOHTTP: Client(_aiohttp, f"{OURS}-aiohttp"),
    OURS_ASYNC: Client(_ours_async, OURS),
    OURS_AIOHTTP: Client(_ours_aiohttp, f"{OURS}-aiohttp"),
    f"{_PYTHON} (async)": Client(partial(_python_binance, kind="AsyncClient"), _PYTHON, True),
    "ccxt (async)": Client(partial(_ccxt, module="ccxt.async_support"), "ccxt", is_peer=True),
    _TYPED: Client(_typed_binance, "typed-binance", is_peer=True, is_typed=True),
}
# What RedisLimits adds to a call, beside a plain GET.
CALL, SHARED, GET = "call", "call with RedisLimits", "GET"
ROUND_TRIPS = {
    CALL: Client(_ours, ""),
    SHARED: Client(partial(_ours_shared, open_client=_ours), ""),
    GET: Client(_get, ""),
    f"{CALL} (async)": Client(_ours_async, ""),
    f"{SHARED} (async)": Client(partial(_ours_shared, open_client=_ours_async), ""),
    f"{GET} (async)": Client(partial(_get, module="redis.asyncio"), ""),
}
# Each peer once, as it is by default.
PACING = {name: CLIENTS[name] for name in (_SDK, "binance-connector", _PYTHON, _TYPED)}
PACING["ccxt, with its rate limit"] = Client(partial(_ccxt, is_paced=True), "ccxt")
ALL = CLIENTS | ROUND_TRIPS | PACING


async def _repeat(call: Any, calls: int, tasks: int, *, is_async: bool) -> tuple[Any, float]:
    """Makes calls in `tasks`; returns the last result and the seconds."""

    async def work() -> Any:
        for _ in range(calls // tasks):
            result = await call() if is_async else call()
        return result

    start = perf_counter()
    results = await asyncio.gather(*(work() for _ in range(tasks)))
    return results[-1], perf_counter() - start


async def _answer(repeat: Any, calls: int, coins: int, tasks: int, is_profiled: bool) -> Any:
    """Seconds per call, or the seconds in each function."""
    # The connections are opened and the code is specialized before the measurement.
    result, _ = await repeat(max(_WARM_UP, tasks), tasks)
    if len(result) != coins:
        raise ValueError(f"{len(result)} coins arrived instead of {coins}")
    profiler = cProfile.Profile()
    if is_profiled:
        profiler.enable()
    _, seconds = await repeat(calls, tasks)
    profiler.disable()
    return _in_functions(profiler) if is_profiled else seconds / calls


def _in_functions(profiler: cProfile.Profile) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for entry in profiler.getstats():
        # A function written in C counts as a part of its caller.
        if not isinstance(entry.code, str):
            within = [called for called in entry.calls or () if isinstance(called.code, str)]
            file = "/".join(entry.code.co_filename.split("/")[-3:])
            name = f"{file} {entry.code.co_qualname}"
            spent = entry.inlinetime + sum(called.inlinetime for called in within)
            seconds[name] = seconds.get(name, 0) + spent
    return seconds


async def _serve(name: str, url: str) -> None:
    """Answers each line of JSON with a line of JSON."""
    repeat = partial(_repeat, ALL[name].open(url), is_async=is_async(name))
    for line in sys.stdin:
        signal.alarm(_PATIENCE)
        print(json.dumps(await _answer(repeat, *json.loads(line))), flush=True)
        signal.alarm(0)
    # Clients that were never closed would log complaints.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
