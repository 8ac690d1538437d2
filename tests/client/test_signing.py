"""The signature covers exactly the bytes that a server on a real socket receives."""

import time
from importlib.metadata import version
from urllib.parse import unquote

import pytest
from binance_small_liability import NetworkError
from binance_small_liability._call.keys import AsymmetricKey, HmacKey
from binance_small_liability._call.signing import encode
from binance_small_liability._secrets import Hidden

from tests.clients import RunClient, run_aiohttp, run_async, run_sync
from tests.conftest import API_KEY, ListCoins
from tests.signing import KEYS, VECTORS, assert_signed, credentials
from tests.wire import response, serving
from tools.contract import LIST_PATH
from tools.operations import EXCHANGE, LIST_COINS

NAME = "binance-small-liability"
WINDOW = LIST_COINS.generated.parameters["recv_window"]


@pytest.mark.parametrize(("kind", "payload", "signature"), VECTORS)
def test_official_vectors(kind: str, payload: str, signature: str) -> None:
    key = Hidden(KEYS[kind])
    signer = HmacKey(key) if kind == "HMAC" else AsymmetricKey(key, Hidden(None))
    assert unquote(signer.sign(payload.encode())) == signature


def test_parameters_are_percent_encoded_in_their_order() -> None:
    assert encode({"b": "x y,+/", "a": "币"}) == b"b=x%20y%2C%2B%2F&a=%E5%B8%81"


def test_what_is_signed_is_what_is_sent(list_coins: ListCoins) -> None:
    before = time.time_ns() // 1_000_000
    with serving(response(headers={"Set-Cookie": "a=b"})) as server:
        list_coins(calls=2, base_url=server.url)
    after = time.time_ns() // 1_000_000
    assert len({request.connection for request in server.requests}) == 1
    for request in server.requests:
        assert (request.method, request.path) == ("GET", LIST_PATH)
        assert request.header("X-MBX-APIKEY") == API_KEY
        assert request.header("Cookie") is None
        assert_signed(request)
        assert [name for name, _ in request.query] == ["recvWindow", "timestamp", "signature"]
        sent = dict(request.query)
        assert sent["recvWindow"] == str(WINDOW.default)
        assert before <= int(sent["timestamp"]) <= after


@pytest.mark.parametrize(
    ("client", "kind"),
    [(run_sync, "RSA"), (run_async, "Ed25519"), (run_aiohttp, "Ed25519"), (run_aiohttp, "HMAC")],
)
def test_the_names_of_an_exchange_are_signed_as_they_are_sent(client: RunClient, kind: str) -> None:
    names = ["BTC", "ETH", "币安人生"]
    with serving(response(EXCHANGE.body)) as server:
        client(lambda c: c.exchange(names), base_url=server.url, **credentials(kind))
    [request] = server.requests
    encoded = "assetNames=BTC%2CETH%2C%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9F&"
    assert request.target.startswith(f"{LIST_PATH}?{encoded}")
    assert (request.method, request.header("X-MBX-APIKEY")) == ("POST", API_KEY)
    assert_signed(request, kind)


def test_the_headers_of_a_request(client: RunClient) -> None:
    with serving(response()) as server:
        client(lambda c: c.list_coins(), base_url=server.url)
    [request] = server.requests
    names = sorted(name.lower() for name, _ in request.headers if name.lower() != "host")
    assert names == ["accept", "accept-encoding", "user-agent", "x-mbx-apikey"]
    assert request.header("User-Agent") == f"{NAME}/{version(NAME)}"


def test_a_proxy_receives_the_signed_request(list_coins: ListCoins) -> None:
    with serving(response()) as proxy:
        list_coins(base_url="http://localhost:9", proxy=proxy.url)
    [request] = proxy.requests
    assert request.path == f"http://localhost:9{LIST_PATH}"
    assert_signed(request)


def test_the_proxy_of_a_tunnel_receives_only_the_host(list_coins: ListCoins) -> None:
    with serving(response(b"", 403)) as proxy, pytest.raises(NetworkError, match="403"):
        list_coins(base_url="https://localhost:9", proxy=proxy.url, max_attempts=1)
    [request] = proxy.requests
    assert (request.method, request.target) == ("CONNECT", "localhost:9")
    assert request.header("X-MBX-APIKEY") is None


def test_proxies_of_the_environment_are_not_used(
    list_coins: ListCoins, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(response([])) as server, serving(response([])) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        list_coins(base_url=server.url)
    assert (len(server.requests), proxy.requests) == (1, [])
