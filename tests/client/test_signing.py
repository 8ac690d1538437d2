"""The signature covers exactly the bytes that a server on a real socket receives."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from binance_small_liability import NetworkError, SmallLiabilityClient
from binance_small_liability._call.keys import HmacKey
from binance_small_liability._call.signing import encode
from binance_small_liability._secrets import Hidden
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.clients import RunClient
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


def test_parameters_are_percent_encoded_in_their_order() -> None:
    assert encode({"b": "x y,+/", "a": "币"}) == b"b=x%20y%2C%2B%2F&a=%E5%B8%81"


def credentials(kind: str) -> dict[str, Any]:
    """The options of a client with a key of Binance's vectors."""
    if kind == "HMAC":
        return {"api_secret": VECTORS["hmac_secret"]}
    return {"api_secret": None, "private_key": pem(VECTORS[f"{kind.lower()}_pkcs8_der_base64"])}


def pem(der_base64: str) -> str:
    lines = [der_base64[start : start + 64] for start in range(0, len(der_base64), 64)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])


def verify(kind: str, payload: str, signature: str) -> None:
    """Fails unless the sent `signature` is that of `payload`."""
    if kind == "HMAC":
        digest = hmac.new(API_SECRET.encode(), payload.encode(), hashlib.sha256)
        assert signature == digest.hexdigest()
        return
    raw = base64.b64decode(unquote(signature), validate=True)
    key: Any = load_pem_private_key(credentials(kind)["private_key"].encode(), None).public_key()
    if kind == "RSA":
        key.verify(raw, payload.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        key.verify(raw, payload.encode())


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
    assert signature == expected, "the signature does not match the bytes that were sent"


@pytest.mark.parametrize("kind", ["HMAC", "RSA", "Ed25519"])
def test_the_names_of_an_exchange_are_signed_as_they_are_sent(client: RunClient, kind: str) -> None:
    with serving(response({})) as server:
        names = ["BTC", "ETH", "币安人生"]
        client(lambda c: c.exchange(names), base_url=server.url, **credentials(kind))
    [request] = server.requests
    payload, _, signature = request.target.partition("?")[2].rpartition("&signature=")
    assert payload.startswith("assetNames=BTC%2CETH%2C%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9F&")
    assert (request.method, request.header("X-MBX-APIKEY")) == ("POST", API_KEY)
    verify(kind, payload, signature)


def test_the_headers_of_a_request(client: RunClient) -> None:
    with serving(response()) as server:
        client(lambda c: c.list_coins(), base_url=server.url)
    [request] = server.requests
    names = sorted(name.lower() for name, _ in request.headers if name.lower() != "host")
    assert names == ["accept", "accept-encoding", "user-agent", "x-mbx-apikey"]
    assert request.header("User-Agent") == "binance-small-liability"


def test_recv_window_of_the_client_and_of_the_call() -> None:
    with serving(response()) as server:
        options: dict[str, Any] = {"api_key": API_KEY, "api_secret": API_SECRET}
        with SmallLiabilityClient(base_url=server.url, recv_window=1, **options) as client:
            client.list_coins()
            client.list_coins(recv_window=60_000)
    assert [dict(request.query)["recvWindow"] for request in server.requests] == ["1", "60000"]


def test_each_request_over_one_connection_has_its_own_timestamp_and_signature(
    list_coins: ListCoins,
) -> None:
    with serving(response()) as server:
        list_coins(calls=2, base_url=server.url)
    first, second = server.requests
    assert first.connection == second.connection
    for request in server.requests:
        _assert_signed(request)


def test_a_proxy_receives_the_signed_request(list_coins: ListCoins) -> None:
    with serving(response()) as proxy:
        list_coins(base_url="http://localhost:9", proxy=proxy.url)
    [request] = proxy.requests
    assert request.path == f"http://localhost:9{LIST_PATH}"
    _assert_signed(request)


def test_the_proxy_of_a_tunnel_receives_only_the_host(list_coins: ListCoins) -> None:
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
    """Transports over aiohttp do so."""

    class Looking(httpx.BaseTransport, httpx.AsyncBaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            assert request.content == b""
            return httpx.Response(200, json=[])

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return self.handle_request(request)

    assert list_coins(transport=Looking()) == []
