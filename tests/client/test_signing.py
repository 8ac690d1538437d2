"""What is signed is what is sent, as a server on a real socket sees it."""

import hashlib
import hmac
import json
import re
import time
from typing import Any

import httpx
import pytest
from binance_small_liability import NetworkError, SmallLiabilityClient
from binance_small_liability._auth import PARAMS, BinanceAuth
from binance_small_liability._clock import Clock
from binance_small_liability._keys import HmacKey
from binance_small_liability._redaction import SEAL, Hidden

from tests.conftest import API_KEY, API_SECRET, ListCoins
from tests.wire import Request, response, serving
from tools.contract import LIST_PATH, ROOT

VECTORS = json.loads((ROOT / "tests/signing-vectors.json").read_text("utf-8"))


def _vectors(algorithm: str) -> list[Any]:
    return [
        pytest.param(vector["payload"], vector["signature"], VECTORS[vector["key"]])
        for vector in VECTORS["vectors"]
        if vector["algorithm"] == algorithm
    ]


@pytest.mark.parametrize(("payload", "signature", "secret"), _vectors("HMAC-SHA256"))
def test_official_hmac_vectors(payload: str, signature: str, secret: str) -> None:
    assert HmacKey(Hidden(secret)).sign(payload.encode()) == signature


def test_what_is_signed_is_what_is_sent(list_coins: ListCoins) -> None:
    before = time.time_ns() // 1_000_000
    with serving(response()) as server:
        list_coins(base_url=server.url)
    after = time.time_ns() // 1_000_000
    [request] = server.requests
    assert (request.method, request.path) == ("GET", LIST_PATH)
    assert request.header("X-MBX-APIKEY") == API_KEY
    _assert_signed(request)
    assert [name for name, _ in request.query] == ["recvWindow", "timestamp", "signature"]
    sent = dict(request.query)
    assert sent["recvWindow"] == "5000"
    assert before <= int(sent["timestamp"]) <= after


def _assert_signed(request: Request) -> None:
    payload, signature = request.target.partition("?")[2].rsplit("&signature=", 1)
    expected = hmac.new(API_SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    assert signature == expected, "the signature does not fit the bytes that were sent"


def test_parameters_are_signed_as_they_are_encoded() -> None:
    """The sibling endpoints take parameters that need encoding."""
    auth = BinanceAuth(Hidden(API_KEY), HmacKey(Hidden(API_SECRET)), Clock())
    request = httpx.Request("POST", "https://api.binance.com/x")
    request.extensions[PARAMS] = {"assetNames": "BTC,ETH 币", "timestamp": 0}
    [signed] = auth.auth_flow(request)
    target = signed.extensions[SEAL].open(signed, takes_target=False).url.raw_path.decode()
    assert re.match(r"/x\?assetNames=BTC%2CETH%20%E5%B8%81&timestamp=[1-9]\d+&sig", target)
    _assert_signed(Request("POST", target, [], 0))


def test_recv_window_of_the_client_and_of_the_call() -> None:
    with serving(response()) as server:
        options: dict[str, Any] = {"api_key": API_KEY, "api_secret": API_SECRET}
        with SmallLiabilityClient(base_url=server.url, recv_window=1, **options) as client:
            client.list_coins()
            client.list_coins(recv_window=60_000)
    assert [dict(request.query)["recvWindow"] for request in server.requests] == ["1", "60000"]


def test_each_request_is_stamped_and_signed_afresh_over_one_connection(
    list_coins: ListCoins,
) -> None:
    with serving(response()) as server:
        list_coins(calls=2, base_url=server.url)
    first, second = server.requests
    assert first.connection == second.connection
    for request in server.requests:
        _assert_signed(request)


def test_a_proxy_is_asked_for_what_is_signed(list_coins: ListCoins) -> None:
    with serving(response()) as proxy:
        list_coins(base_url="http://localhost:9", proxy=proxy.url)
    [request] = proxy.requests
    assert request.path == f"http://localhost:9{LIST_PATH}"
    _assert_signed(request)


def test_a_proxy_of_a_tunnel_learns_only_where_it_leads(list_coins: ListCoins) -> None:
    with serving(response(b"", 403)) as proxy, pytest.raises(NetworkError, match="403"):
        list_coins(base_url="https://localhost:9", proxy=proxy.url, max_attempts=1)
    [request] = proxy.requests
    assert (request.method, request.target) == ("CONNECT", "localhost:9")
    assert request.header("X-MBX-APIKEY") is None


def test_a_transport_of_the_caller_gets_the_signed_url(list_coins: ListCoins) -> None:
    urls: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        urls.append(request.url)
        return httpx.Response(200, json=[])

    assert list_coins(transport=httpx.MockTransport(answer)) == []
    _assert_signed(Request("GET", urls[0].raw_path.decode(), [], 0))


def test_no_cookie_is_kept(list_coins: ListCoins) -> None:
    with serving(response(headers={"Set-Cookie": "a=b"})) as server:
        list_coins(calls=2, base_url=server.url)
    assert [request.header("Cookie") for request in server.requests] == [None, None]


def test_a_transport_of_the_caller_may_look_at_the_content(list_coins: ListCoins) -> None:
    """As those over aiohttp do."""

    class Looking(httpx.BaseTransport, httpx.AsyncBaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            assert request.content == b""
            return httpx.Response(200, json=[])

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return self.handle_request(request)

    assert list_coins(transport=Looking()) == []
