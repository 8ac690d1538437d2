"""Who is measured: ways to make the same signed call, each from an environment of its own.

Every `open` takes the base URL of the server, makes one client, and returns a function that makes
one call and returns what the client made of the coins. Nothing of a contestant is imported before.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import Any, NamedTuple

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
API_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"

_PATH = "/sapi/v1/margin/exchange-small-liability"
_HEADERS = {"X-MBX-APIKEY": API_KEY}

Call = Callable[[], Any]


class Contestant(NamedTuple):
    """One way to make the call.

    Attributes:
        name: as the results show it.
        environment: the name of its lock in `benchmarks/requirements`.
        imports: what a user imports to use it.
        open: makes a client; in a running event loop, if `is_async`.
        is_async: whether a call must be awaited.
        is_peer: whether it is a library that a user could pick instead.
    """

    name: str
    environment: str
    imports: str
    open: Callable[[str], Call]
    is_async: bool = False
    is_peer: bool = False


def _signed_target() -> str:
    query = f"recvWindow=5000&timestamp={time.time_ns() // 1_000_000}"
    signature = hmac.new(API_SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"{_PATH}?{query}&signature={signature}"


def exact_tuples(content: bytes) -> list[tuple[str, Decimal, Decimal, str, Decimal]]:
    """The coins of a body: the least that keeps every amount exact."""
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


def _http_client(url: str) -> Call:
    import http.client

    connection = http.client.HTTPConnection(url.removeprefix("http://"))

    def call() -> Any:
        connection.request("GET", _signed_target(), headers=_HEADERS)
        return exact_tuples(connection.getresponse().read())

    return call


def _decoding(url: str) -> Call:
    import urllib.request

    with urllib.request.urlopen(url + _signed_target()) as response:
        content = response.read()
    return lambda: exact_tuples(content)


def _httpx(url: str) -> Call:
    import httpx

    client = httpx.Client(base_url=url)
    return lambda: exact_tuples(client.get(_signed_target(), headers=_HEADERS).content)


def _httpx_async(url: str) -> Call:
    import httpx

    client = httpx.AsyncClient(base_url=url)

    async def call() -> Any:
        return exact_tuples((await client.get(_signed_target(), headers=_HEADERS)).content)

    return call


def _aiohttp(url: str) -> Call:
    import aiohttp

    session = aiohttp.ClientSession(headers=_HEADERS)

    async def call() -> Any:
        async with session.get(url + _signed_target()) as response:
            return exact_tuples(await response.read())

    return call


def _wire_options() -> dict[str, Any]:
    import httpx

    class Signing(httpx.Auth):
        def auth_flow(
            self, request: httpx.Request
        ) -> Generator[httpx.Request, httpx.Response, None]:
            query = request.url.query
            signature = hmac.new(API_SECRET.encode(), query, hashlib.sha256).hexdigest()
            request.url = request.url.copy_with(query=query + b"&signature=" + signature.encode())
            yield request

    return {"headers": _HEADERS, "httpx_args": {"auth": Signing()}}


def _wire_client(url: str) -> Call:
    from binance_small_liability_api import Client
    from binance_small_liability_api.api.margin import get_small_liability_exchange_coin_list

    client = Client(base_url=url, **_wire_options())
    return lambda: get_small_liability_exchange_coin_list.sync(
        client=client, timestamp=time.time_ns() // 1_000_000
    )


def _wire_client_async(url: str) -> Call:
    from binance_small_liability_api import Client
    from binance_small_liability_api.api.margin import get_small_liability_exchange_coin_list

    client = Client(base_url=url, **_wire_options())
    return lambda: get_small_liability_exchange_coin_list.asyncio(
        client=client, timestamp=time.time_ns() // 1_000_000
    )


def _ours(url: str) -> Call:
    from binance_small_liability import SmallLiabilityClient

    return SmallLiabilityClient(api_key=API_KEY, api_secret=API_SECRET, base_url=url).list_coins


def _ours_async(url: str) -> Call:
    from binance_small_liability import AsyncSmallLiabilityClient

    client = AsyncSmallLiabilityClient(api_key=API_KEY, api_secret=API_SECRET, base_url=url)
    return client.list_coins


def _ours_aiohttp(url: str) -> Call:
    from binance_small_liability import AsyncSmallLiabilityClient
    from binance_small_liability.aiohttp import AiohttpTransport

    client = AsyncSmallLiabilityClient(
        api_key=API_KEY, api_secret=API_SECRET, base_url=url, transport=AiohttpTransport()
    )
    return client.list_coins


def _official_sdk(url: str) -> Any:
    from binance_common.configuration import ConfigurationRestAPI
    from binance_sdk_margin_trading.margin_trading import MarginTrading

    settings = ConfigurationRestAPI(api_key=API_KEY, api_secret=API_SECRET, base_path=url)
    api = MarginTrading(config_rest_api=settings).rest_api
    return lambda: api.get_small_liability_exchange_coin_list().data()


def _binance_connector(url: str) -> Any:
    from binance.spot import Spot

    client = Spot(api_key=API_KEY, api_secret=API_SECRET, base_url=url)
    return client.get_small_liability_exchange_coin_list


def _python_binance(url: str) -> Any:
    from binance.client import Client

    client = Client(API_KEY, API_SECRET, ping=False)
    client.MARGIN_API_URL = f"{url}/sapi"
    return client.get_small_liability_exchange_assets


def _python_binance_async(url: str) -> Any:
    from binance.async_client import AsyncClient

    # Its `create` would ask the real exchange for the time.
    client = AsyncClient(API_KEY, API_SECRET)
    client.MARGIN_API_URL = f"{url}/sapi"
    return client.get_small_liability_exchange_assets


def _ccxt_exchange(library: Any, url: str) -> Any:
    # Its own rate limit would be all that is measured.
    options = {"apiKey": API_KEY, "secret": API_SECRET, "enableRateLimit": False}
    exchange = library.binance(options)
    exchange.urls["api"]["sapi"] = f"{url}/sapi/v1"
    return exchange.sapi_get_margin_exchange_small_liability


def _ccxt(url: str) -> Any:
    import ccxt

    return _ccxt_exchange(ccxt, url)


def _ccxt_async(url: str) -> Any:
    import ccxt.async_support

    return _ccxt_exchange(ccxt.async_support, url)


def _typed_binance(url: str) -> Any:
    from typed_binance import Binance

    client = Binance.new(api_key=API_KEY, secret_key=API_SECRET, urls={"spot": {"http": url}})
    return client.spot.http.margin.small_liability_exchange_coins


FLOOR = "http.client, hand-signed"
HTTPX = "httpx, hand-signed"
HTTPX_ASYNC = "httpx, hand-signed (async)"
OURS = "binance-small-liability"
OURS_ASYNC = "binance-small-liability (async)"
OURS_AIOHTTP = "binance-small-liability[aiohttp] (async)"
DECODING = "json.loads and tuples"

# Where the command line is installed.
COMMAND = f"{OURS}-cli"

_OURS = "binance_small_liability"
CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant(FLOOR, "httpx", "hashlib, hmac, http.client, json", _http_client),
        Contestant(HTTPX, "httpx", "httpx", _httpx),
        Contestant("generated wire client, hand-signed", OURS, f"{_OURS}_api", _wire_client),
        Contestant(OURS, OURS, _OURS, _ours),
        Contestant(
            "binance-sdk-margin-trading",
            "binance-sdk-margin-trading",
            "binance_sdk_margin_trading.margin_trading",
            _official_sdk,
            is_peer=True,
        ),
        Contestant(
            "binance-connector",
            "binance-connector",
            "binance.spot",
            _binance_connector,
            is_peer=True,
        ),
        Contestant(
            "python-binance", "python-binance", "binance.client", _python_binance, is_peer=True
        ),
        Contestant("ccxt", "ccxt", "ccxt", _ccxt, is_peer=True),
        Contestant(HTTPX_ASYNC, "httpx", "asyncio, httpx", _httpx_async, is_async=True),
        Contestant(
            "aiohttp, hand-signed (async)", f"{OURS}-aiohttp", "aiohttp", _aiohttp, is_async=True
        ),
        Contestant(
            "generated wire client, hand-signed (async)",
            OURS,
            f"asyncio, {_OURS}_api",
            _wire_client_async,
            is_async=True,
        ),
        Contestant(OURS_ASYNC, OURS, f"asyncio, {_OURS}", _ours_async, is_async=True),
        Contestant(
            OURS_AIOHTTP,
            f"{OURS}-aiohttp",
            f"{_OURS}.aiohttp",
            _ours_aiohttp,
            is_async=True,
        ),
        Contestant(
            "python-binance (async)",
            "python-binance",
            "binance.async_client",
            _python_binance_async,
            is_async=True,
            is_peer=True,
        ),
        Contestant(
            "ccxt (async)", "ccxt", "ccxt.async_support", _ccxt_async, is_async=True, is_peer=True
        ),
        Contestant(
            "typed-binance (async)",
            "typed-binance",
            "typed_binance.spot",
            _typed_binance,
            is_async=True,
            is_peer=True,
        ),
    )
}
# No client at all: what reading 1,000 coins costs at the least.
YARDSTICK = Contestant(DECODING, "httpx", "json", _decoding)


def call_once(name: str, url: str) -> Any:
    """What one call of the contestant `name` returns."""
    contestant = CONTESTANTS[name]
    if not contestant.is_async:
        return contestant.open(url)()
    import asyncio

    async def call() -> Any:
        return await contestant.open(url)()

    return asyncio.run(call())
