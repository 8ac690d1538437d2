"""The fake exchange: what it refuses and with which code, its books, its script and its doors."""

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import attrs
import httpx
import pytest
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    AuthenticationError,
    ClockSkewError,
    Coin,
    ConfigurationError,
    ContractError,
    IpBanError,
    NetworkError,
    RateLimitError,
    RequestTimeout,
    ServerError,
    SmallLiabilityClient,
    _time,
)
from binance_small_liability._keys import HmacKey
from binance_small_liability.testing import FakeBinance, no_waiting
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from tests.client.test_signing import VECTORS
from tests.conftest import API_KEY, ETH
from tests.wire import response, serving
from tools.contract import LIST_PATH, TIME_PATH

USED_WEIGHT = "X-SAPI-USED-IP-WEIGHT-1M"
PRIVATE_KEYS = {
    name: load_der_private_key(base64.b64decode(VECTORS[name]), None)
    for name in ("rsa_pkcs8_der_base64", "ed25519_pkcs8_der_base64")
}

Sign = Callable[[str], str]


def hmac_sign(payload: str, secret: str | None) -> str:
    assert secret is not None
    return hmac.new(secret.encode(), payload.encode("latin-1"), hashlib.sha256).hexdigest()


class Door:
    """A fake, and a way to send it bytes that no client would send."""

    def __init__(self, fake: FakeBinance, http_client: httpx.Client) -> None:
        self.fake = fake
        self._http = http_client

    def ask(
        self,
        query: str = "timestamp={now}",
        tail: str = "&signature={signature}",
        *,
        path: str = LIST_PATH,
        method: str = "GET",
        sign: Sign | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Sends `query`, in which {now} is the time, and its signature where `tail` says."""
        query = query.replace("{now}", str(self.fake.now))
        signature = (sign or (lambda payload: hmac_sign(payload, self.fake.api_secret)))(query)
        tail = tail.replace("{signature}", signature).replace("{truncated}", signature[:-1])
        target = f"{path}?{query}{tail}".rstrip("?")
        return self._http.request(
            method,
            path,
            headers={"X-MBX-APIKEY": self.fake.api_key} if headers is None else headers,
            extensions={"target": target.encode("latin-1")},
        )


@pytest.fixture(params=["in process", "over a socket"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    fake = FakeBinance()
    if request.param == "in process":
        with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
            yield Door(fake, http_client)
    else:
        with (
            fake.serve() as url,
            httpx.Client(base_url=url, transport=_RawSocket()) as http_client,
        ):
            yield Door(fake, http_client)


class _RawSocket(httpx.BaseTransport):
    """Sends whatever target it is told; the usual libraries refuse to send what is not encoded."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        head = [request.method.encode() + b" " + request.extensions["target"] + b" HTTP/1.1"]
        head += [name + b": " + value for name, value in request.headers.raw]
        with socket.create_connection((request.url.host, request.url.port or 80)) as connection:
            connection.sendall(b"\r\n".join([*head, b"", b""]))
            answer = http.client.HTTPResponse(connection, method=request.method)
            answer.begin()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def verdict(response: httpx.Response) -> tuple[int, int | None]:
    body = response.json() if response.content else None
    return response.status_code, body["code"] if isinstance(body, dict) else None


@pytest.mark.parametrize(
    "query",
    [
        "timestamp={now}",
        "recvWindow=60000&timestamp={now}",
        "timestamp={now}&recvWindow=5000",
        "recvWindow=%35000&timestamp={now}",
        "recvWindo%77=5000&timestamp={now}",
        "recvWind%6fw=5000&timestamp={now}",
    ],
)
def test_rightly_signed_requests_are_accepted(door: Door, query: str) -> None:
    response = door.ask(query)
    assert verdict(response) == (200, None)
    assert response.headers[USED_WEIGHT] == "100"
    assert response.json()[0]["asset"] == "ETH"


SIGNED = "&signature={signature}"
KEY = FakeBinance().api_key


@pytest.mark.parametrize(
    ("query", "tail", "key", "code"),
    [
        # Each request is wrong in one way, or in two of which the earlier check must decide.
        ("timestamp={now}", SIGNED, None, -2014),
        ("timestamp={now}", SIGNED, "", -2014),
        ("timestamp={now}", SIGNED, "short", -2014),
        ("timestamp={now}", SIGNED, KEY + "0", -2014),
        ("timestamp={now}", SIGNED, KEY[:-1] + "-", -2014),
        ("", "", None, -2014),
        ("timestamp={now}", SIGNED, KEY[:-1] + "x", -2015),
        ("timestamp={now}", SIGNED, KEY.lower(), -2015),
        ("oops", "", KEY.lower(), -2015),
        ("timestamp={now}&x=é", SIGNED, KEY, -1022),
        ("timestamp={now}&x=%zz", SIGNED, KEY, -1022),
        ("timestamp={now}&x=%", SIGNED, KEY, -1022),
        ('timestamp={now}&x="', SIGNED, KEY, -1022),
        ("timestamp={now}&x", SIGNED, KEY, -1104),
        ("timestamp={now}&=5", SIGNED, KEY, -1104),
        ("timestamp={now}&", SIGNED, KEY, -1104),
        ("timestamp={now}", SIGNED + "&", KEY, -1104),
        ("timestamp={now}&limit=5", SIGNED, KEY, -1103),
        ("Timestamp={now}", SIGNED, KEY, -1103),
        ("timestamp={now}&recvwindow=5000", SIGNED, KEY, -1103),
        ("timestamp={now}", "&Signature={signature}", KEY, -1103),
        ("timestamp={now}&timestamp={now}", SIGNED, KEY, -1101),
        ("timestamp={now}", SIGNED + SIGNED, KEY, -1101),
        ("timestamp={now}&%74imestamp={now}", SIGNED, KEY, -1101),
        ("", "", KEY, -1102),
        ("recvWindow=5000", SIGNED, KEY, -1102),
        ("timestamp={now}", "", KEY, -1102),
        ("timestamp=", SIGNED, KEY, -1105),
        ("timestamp={now}&recvWindow=", SIGNED, KEY, -1105),
        ("timestamp={now}", "&signature=", KEY, -1105),
        ("timestamp=now", SIGNED, KEY, -1100),
        ("timestamp={now}.0", SIGNED, KEY, -1100),
        ("timestamp=-{now}", SIGNED, KEY, -1100),
        ("timestamp=+{now}", SIGNED, KEY, -1100),
        ("timestamp={now}&recvWindow=5e3", SIGNED, KEY, -1100),
        ("timestamp={now}&recvWindow=5000.5", SIGNED, KEY, -1100),
        ("timestamp={now}&recvWindow=%D9%A5", SIGNED, KEY, -1100),
        ("timestamp=111111111111111111111", SIGNED, KEY, -1100),
        ("timestamp={now}&recvWindow=60001", SIGNED, KEY, -1131),
        ("timestamp=0&recvWindow=60001", SIGNED, KEY, -1131),
        ("timestamp={now}&recvWindow=0", SIGNED, KEY, -1102),
        ("timestamp=0", SIGNED, KEY, -1021),
        ("timestamp=0", "&signature=0", KEY, -1021),
        ("timestamp=99999999999999999999", SIGNED, KEY, -1021),
        ("timestamp={now}", "&signature=0", KEY, -1022),
        ("timestamp={now}", "&s%69gnature={signature}", KEY, -1022),
        ("timestamp={now}", SIGNED + "&recvWindow=5000", KEY, -1022),
        ("timestamp={now}", "&recvWindow=5000" + SIGNED, KEY, -1022),
        ("timestamp={now}", SIGNED + "0", KEY, -1022),
        ("timestamp={now}", "&signature={truncated}", KEY, -1022),
    ],
)
def test_every_fault_has_its_code(
    door: Door, query: str, tail: str, key: str | None, code: int
) -> None:
    response = door.ask(query, tail, headers={} if key is None else {"X-MBX-APIKEY": key})
    assert verdict(response) == (401 if code in (-2014, -2015) else 400, code)
    assert response.headers["Content-Type"] == "application/json"
    # Refused calls weigh as much as others.
    assert response.headers[USED_WEIGHT] == "100"


@pytest.mark.parametrize(
    ("offset", "recv_window", "accepted"),
    [
        (999, 5000, True),
        (1000, 5000, False),
        (-5000, 5000, True),
        (-5001, 5000, False),
        (-60_000, 60_000, True),
        # By default it is 5000.
        (-5000, None, True),
        (-5001, None, False),
    ],
)
def test_the_window_of_timestamps(
    monkeypatch: pytest.MonkeyPatch, offset: int, recv_window: int | None, accepted: bool
) -> None:
    monkeypatch.setattr(_time, "unix_ns", lambda: 1_700_000_000_000_000_000)
    fake = FakeBinance()
    with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
        query = f"timestamp={fake.now + offset}"
        query += "" if recv_window is None else f"&recvWindow={recv_window}"
        response = Door(fake, http_client).ask(query)
    assert verdict(response) == ((200, None) if accepted else (400, -1021))


@pytest.mark.parametrize("position", [0, 31, 63])
def test_one_wrong_character_of_a_signature(door: Door, position: int) -> None:
    def sign(payload: str) -> str:
        right = hmac_sign(payload, door.fake.api_secret)
        wrong = "0" if right[position] != "0" else "1"
        return right[:position] + wrong + right[position + 1 :]

    assert verdict(door.ask(sign=sign)) == (400, -1022)


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("recvWindow=5000&timestamp={}", "timestamp={}&recvWindow=5000"),
        ("recvWindow=%35000&timestamp={}", "recvWindow=5000&timestamp={}"),
        ("recvWindow=5000&timestamp={}", "recvWindow=%35000&timestamp={}"),
        ("timestamp={}", "?timestamp={}"),
        ("timestamp={}", "timestamp={}&"),
    ],
)
def test_a_signature_over_other_bytes(door: Door, sent: str, signed: str) -> None:
    now = door.fake.now
    signature = hmac_sign(signed.format(now), door.fake.api_secret)
    assert verdict(door.ask(sent.format(now), sign=lambda _: signature)) == (400, -1022)


def test_a_client_that_signs_wrongly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the mock of the contract alone would not."""
    fake = FakeBinance()
    with (
        fake.serve() as url,
        SmallLiabilityClient(**fake.credentials, base_url=url) as client,
    ):
        assert client.list_coins() == fake.coins
        right = HmacKey.sign

        def sign_another_order(key: HmacKey, payload: bytes) -> str:
            return right(key, b"&".join(reversed(payload.split(b"&"))))

        monkeypatch.setattr(HmacKey, "sign", sign_another_order)
        with pytest.raises(AuthenticationError, match="-1022"):
            client.list_coins()


def test_elsewhere(door: Door) -> None:
    assert door.ask(path="/sapi/v1/margin").status_code == 404
    assert door.ask(path=LIST_PATH + "/").status_code == 404
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "QUERY"):
        response = door.ask(method=method)
        assert (response.status_code, response.headers["Allow"]) == (405, "GET"), method


def test_the_time(door: Door) -> None:
    door.fake.clock_skew = -3_600_000
    response = door.ask("", "", path=TIME_PATH, headers={})
    told = response.json()["serverTime"]
    assert response.status_code == 200
    assert USED_WEIGHT not in response.headers
    assert 0 <= door.fake.now - told < 5000
    assert 3_600_000 <= _time.unix_ns() // 1_000_000 - told < 3_605_000


@pytest.mark.parametrize(
    ("query", "code"), [("x=1", -1101), ("timestamp=1", -1106), ("signature=1", -1106)]
)
def test_the_time_takes_no_parameters(door: Door, query: str, code: int) -> None:
    assert verdict(door.ask(query, "", path=TIME_PATH)) == (400, code)


def _private_sign(name: str, payload: str) -> bytes:
    key = PRIVATE_KEYS[name]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(payload.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(payload.encode())


def _pem(name: str) -> str:
    public = PRIVATE_KEYS[name].public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("name", PRIVATE_KEYS)
def test_public_keys(name: str) -> None:
    fake = FakeBinance(public_key=_pem(name))
    assert fake.credentials == {"api_key": fake.api_key}

    def sign(payload: str) -> str:
        return quote(base64.b64encode(_private_sign(name, payload)), safe="")

    with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
        door = Door(fake, http_client)
        assert verdict(door.ask(sign=sign)) == (200, None)
        # Percent-encoding may have small letters.
        lower = {"%2B": "%2b", "%2F": "%2f", "%3D": "%3d"}
        assert (
            verdict(door.ask(sign=lambda p: re.sub("%..", lambda e: lower[e[0]], sign(p))))[0]
            == 200
        )
        for wrong in (
            lambda payload: sign(payload + "0"),
            lambda payload: "A" + sign(payload)[1:] if sign(payload)[0] != "A" else "B",
            lambda payload: base64.b64encode(_private_sign(name, payload)).decode(),
            lambda payload: sign(payload)[:-6],
            lambda payload: hmac_sign(payload, "secret"),
        ):
            assert verdict(door.ask(sign=wrong)) == (400, -1022)


@pytest.mark.parametrize("vector", [v for v in VECTORS["vectors"] if v["algorithm"][0] != "H"])
def test_official_vectors(vector: dict[str, str]) -> None:
    verify = FakeBinance(public_key=_pem(vector["key"]).encode())._verify
    assert verify(vector["payload"].encode(), quote(vector["signature"], safe=""))
    assert not verify(vector["payload"].encode() + b"0", quote(vector["signature"], safe=""))


def test_wrong_public_keys() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    for pem, problem in (
        ("", "not a public key"),
        (_pem("rsa_pkcs8_der_base64")[:90], "not a public key"),
        (curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "RSA or Ed25519"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            FakeBinance(public_key=pem)
    with pytest.raises(ConfigurationError, match="combined"):
        FakeBinance(public_key=_pem("rsa_pkcs8_der_base64"), api_secret="secret")


def test_without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(ConfigurationError, match=r"\[asymmetric\]"):
        FakeBinance(public_key=_pem("rsa_pkcs8_der_base64"))


def test_clients_written_by_others() -> None:
    """One signs by hand over http.client, one over urllib, as the official examples do."""
    fake = FakeBinance(api_key=API_KEY, api_secret=VECTORS["hmac_secret"])
    headers = {"X-MBX-APIKEY": API_KEY}
    with fake.serve() as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        for _ in range(2):  # over one connection
            payload = f"timestamp={time.time_ns() // 1_000_000}"
            target = f"{LIST_PATH}?{payload}&signature={hmac_sign(payload, fake.api_secret)}"
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())[0]["asset"]) == (200, "ETH")
        connection.close()
        payload = urlencode({"recvWindow": 60_000, "timestamp": fake.now})
        signature = hmac_sign(payload, fake.api_secret).upper()
        request = urllib.request.Request(  # noqa: S310 - the URL is the fake's
            f"{url}{LIST_PATH}?{payload}&signature={signature}", headers=headers
        )
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - the URL is the fake's
            assert reply.status == 200
    assert [received.status for received in fake.requests] == [200, 200, 200]


# The books


def test_the_weight_of_a_minute(monkeypatch: pytest.MonkeyPatch, door: Door) -> None:
    second = 1_000_000_000
    now = [1_700_000_040 * second]  # a minute begins
    monkeypatch.setattr(_time, "unix_ns", lambda: now[0])
    for call in range(1, 121):
        assert door.ask().headers[USED_WEIGHT] == str(call * 100)
    now[0] += 59 * second
    limited = door.ask()
    assert verdict(limited) == (429, -1003)
    assert limited.headers["Retry-After"] == "1"
    assert limited.headers[USED_WEIGHT] == "12100"
    # Each endpoint has a budget of its own, and the time weighs 1.
    door.fake.weight_limit = 3
    statuses = [door.ask("", "", path=TIME_PATH).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    door.fake.weight_limit = 12_000
    now[0] += second
    assert door.ask().headers[USED_WEIGHT] == "100"


def test_bans_grow(monkeypatch: pytest.MonkeyPatch, door: Door) -> None:
    second = 1_000_000_000
    now = [1_700_000_040 * second]
    monkeypatch.setattr(_time, "unix_ns", lambda: now[0])
    door.fake.weight_limit = 100
    lengths = []
    for _ in range(13):
        assert [door.ask().status_code for _ in range(3)] == [200, 429, 418]
        now[0] += second
        banned = door.ask()
        assert verdict(banned) == (418, -1003)
        assert door.ask("", "", path=TIME_PATH).status_code == 418
        lengths.append(int(banned.headers["Retry-After"]) + 1)
        now[0] += (lengths[-1] - 2) * second
        assert door.ask().status_code == 418
        # The ban ends with its last second, and so does the minute that began it.
        now[0] += second
        assert door.ask().status_code == 200
        now[0] += 60 * second
    assert lengths == [min(120 * 2**n, 259_200) for n in range(13)]


def test_the_clients_learn_of_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_040 * 1_000_000_000)
    fake = FakeBinance()
    fake.weight_limit = 100
    once: dict[str, Any] = {"transport": fake.transport(), "max_attempts": 1}
    with SmallLiabilityClient(**fake.credentials, **once) as client:
        client.list_coins()
    with (
        SmallLiabilityClient(**fake.credentials, **once) as client,
        pytest.raises(RateLimitError) as caught,
    ):
        client.list_coins()
    assert caught.value.used_weight == 200
    assert caught.value.retry_after == 60
    with (
        SmallLiabilityClient(**fake.credentials, **once) as client,
        pytest.raises(IpBanError) as banned,
    ):
        client.list_coins()
    assert banned.value.retry_after == 120
    with no_waiting(), SmallLiabilityClient(**fake.credentials, **once) as client:
        fake.advance(121)
        assert client.list_coins() == fake.coins


def test_a_client_recovers_when_its_limit_does(fake_binance: FakeBinance) -> None:
    fake_binance.weight_limit = 100
    transport = fake_binance.transport()
    with SmallLiabilityClient(**fake_binance.credentials, transport=transport) as client:
        # The second and the third each wait for a minute to begin.
        assert [client.list_coins() for _ in range(3)] == [fake_binance.coins] * 3
        fake_binance.advance(60)
        client.list_coins()
    assert [r.status for r in fake_binance.requests] == [200, 429, 200, 429, 200, 200]


def test_its_clock_alone_is_moved_where_waiting_is_not_switched_off() -> None:
    fake = FakeBinance()
    with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
        fake.advance(3600.5)
        assert client.list_coins() == fake.coins
    assert fake.clock_skew == 3_600_500
    # The client was told, and asked for the time.
    assert [(r.path, r.status) for r in fake.requests] == [
        (LIST_PATH, 400),
        (TIME_PATH, 200),
        (LIST_PATH, 200),
    ]


# Coins and script


@pytest.mark.parametrize("quoted", [False, True])
def test_coins_survive_to_the_last_digit(list_coins: Any, quoted: bool) -> None:
    fake = FakeBinance()
    fake.quote_quantity = quoted
    fake.coins = [
        Coin(
            "币安人生", Decimal("123456789012.123456789012345678"), Decimal(0), "USDT", Decimal(qty)
        )
        for qty in ("0.3552", "1E-8", "0.12345678901234567890123", "9", "1E+3", "-0.5")
    ]
    assert list_coins(**fake.credentials, transport=fake.transport()) == fake.coins
    response = httpx.Client(transport=fake.transport()).send(_signed_request(fake))
    quantities = [item["liabilityQty"] for item in json.loads(response.text, parse_float=Decimal)]
    assert {type(quantity) for quantity in quantities} == ({str} if quoted else {Decimal, int})


def _signed_request(fake: FakeBinance) -> httpx.Request:
    payload = f"timestamp={fake.now}"
    url = f"http://fake{LIST_PATH}?{payload}&signature={hmac_sign(payload, fake.api_secret)}"
    return httpx.Request("GET", url, headers={"X-MBX-APIKEY": fake.api_key})


Play = Callable[[FakeBinance], None]


@pytest.mark.parametrize(
    ("play", "error", "told"),
    [
        (lambda fake: fake.fail_next(503), ServerError, "-1000"),
        (lambda fake: fake.fail_next(520, code=-1016), ServerError, "HTTP 520, code -1016"),
        (lambda fake: fake.fail_next(429), RateLimitError, "Retry after 7 s"),
        (lambda fake: fake.fail_next(429, retry_after=3), RateLimitError, "Retry after 3 s"),
        (lambda fake: fake.fail_next(429, retry_after=0), RateLimitError, "Retry after 0 s"),
        (lambda fake: fake.fail_next(403, code=-2015), AuthenticationError, "code -2015"),
        (lambda fake: fake.fail_next(418), IpBanError, "Retry after 120 s"),
        (lambda fake: fake.fail_next(400, code=-3003), Exception, "no margin account"),
        (lambda fake: fake.fail_next(400, code=-4242), Exception, "code -4242"),
        (lambda fake: fake.fail_next(302), Exception, "302"),
        (lambda fake: fake.fail_next(302, code=-5), Exception, "code -5"),
        (lambda fake: fake.malform_next(), ContractError, "not JSON"),
        (lambda fake: fake.malform_next(b"{}"), ContractError, "an array"),
        (lambda fake: fake.drop_next(), NetworkError, "RemoteProtocolError"),
        (lambda fake: fake.delay_next(0.3), RequestTimeout, "Timeout"),
    ],
)
@pytest.mark.parametrize("on_socket", [False, True])
def test_every_line_of_a_script(
    list_coins: Any, play: Play, error: type[Exception], told: str, on_socket: bool
) -> None:
    fake = FakeBinance()
    play(fake)
    with fake.serve() as url:
        where = {"base_url": url} if on_socket else {"transport": fake.transport()}
        call: dict[str, Any] = {**fake.credentials, **where, "max_attempts": 1}
        with pytest.raises(error) as caught:
            list_coins(**call, timeout=0.15 if error is RequestTimeout else 10)
        assert told in str(caught.value)
        # The script is over.
        assert list_coins(**call) == fake.coins
    assert len(fake.requests) == 2


def test_a_script_in_order_and_by_path() -> None:
    fake = FakeBinance()
    fake.fail_next(500, times=2)
    fake.fail_next(400, code=-1021, example="timestampAhead")
    fake.drop_next(path=TIME_PATH)
    statuses = []
    with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
        door = Door(fake, http_client)
        with pytest.raises(httpx.RemoteProtocolError):
            door.ask("", "", path=TIME_PATH)
        # A request that is refused takes no step.
        statuses = [door.ask(tail=tail).status_code for tail in ("", *[SIGNED] * 4)]
    assert statuses == [400, 500, 500, 400, 200]
    with pytest.raises(ValueError, match="contract has no answer"):
        fake.fail_next(400, example="unheard")
    with pytest.raises(ValueError, match="contract has no path"):
        fake.fail_next(400, path="/")


def test_a_delay_that_is_not_too_long(list_coins: Any) -> None:
    fake = FakeBinance()
    fake.delay_next(3, times=2)
    with no_waiting():
        before, really_before = _time.monotonic(), time.monotonic()
        assert list_coins(calls=2, **fake.credentials, transport=fake.transport()) == fake.coins
        skipped = (_time.monotonic() - before) - (time.monotonic() - really_before)
    assert round(skipped) == 6


def test_a_skewed_clock(list_coins: Any) -> None:
    fake = FakeBinance()
    fake.clock_skew = 10_000
    with pytest.raises(ClockSkewError):
        list_coins(**fake.credentials, transport=_Refusing(fake))


class _Refusing(httpx.MockTransport):
    """The fake, but its time cannot be had, so that nothing corrects the client's clock."""

    def __init__(self, fake: FakeBinance) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            if request.url.path == TIME_PATH:
                return httpx.Response(503)
            return fake.handle(request)

        super().__init__(handle)


# What it shows


def test_what_arrived_is_shown_without_secrets(door: Door) -> None:
    door.ask("recvWindow=%35000&timestamp={now}")
    door.ask("timestamp={now}&k=" + door.fake.api_key, tail="&Signature={signature}")
    door.ask(path="/" + door.fake.api_key)
    [first, second, third] = door.fake.requests
    assert (first.method, first.path, first.status) == ("GET", LIST_PATH, 200)
    assert [name for name, _ in first.query] == ["recvWindow", "timestamp", "signature"]
    assert first.query[0][1] == "%35000"
    assert dict(first.headers)["x-mbx-apikey"] == "[hidden]"
    assert second.status == 400
    assert (third.path, third.status) == ("/[hidden]", 404)
    shown = repr((door.fake, door.fake.requests))
    assert door.fake.api_key not in shown
    assert str(door.fake.api_secret) not in shown
    for received in door.fake.requests:
        assert all(value == "[hidden]" for name, value in received.query if "ignature" in name)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.status = 1  # type: ignore[misc]


def test_many_threads_and_tasks_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # So that all of it happens within one minute.
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_040 * 1_000_000_000)
    fake = FakeBinance()
    fake.weight_limit = 1_000_000
    fake.fail_next(503, times=7)
    outcomes: list[int] = []

    def ask(http_client: httpx.Client) -> None:
        outcomes.extend(Door(fake, http_client).ask().status_code for _ in range(20))

    async def gather() -> None:
        async with AsyncSmallLiabilityClient(
            **fake.credentials, transport=fake.transport()
        ) as client:
            await asyncio.gather(*[client.list_coins() for _ in range(100)])

    with fake.serve() as url, httpx.Client(base_url=url, trust_env=False) as http_client:
        threads = [threading.Thread(target=ask, args=(http_client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    asyncio.run(gather())
    assert sorted(set(outcomes)) == [200, 503]
    assert outcomes.count(503) == 7
    assert len(fake.requests) == 260
    with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
        assert Door(fake, http_client).ask().headers[USED_WEIGHT] == "26100"


def test_a_port_of_choice_and_an_end() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fake = FakeBinance()
    with httpx.Client(trust_env=False) as http_client:
        with fake.serve(port=port) as url:
            assert url == f"http://127.0.0.1:{port}"
            assert http_client.get(url + TIME_PATH).status_code == 200
        with pytest.raises(httpx.TransportError):
            http_client.get(url + TIME_PATH)


def test_the_upstream_answers_once_the_checks_are_passed() -> None:
    with serving(response(headers={USED_WEIGHT: "7"})) as upstream:
        fake = FakeBinance(upstream=upstream.url)
        once: dict[str, Any] = {"transport": fake.transport(), "max_attempts": 1}
        with SmallLiabilityClient(**fake.credentials, **once) as client:
            assert client.list_coins() == [ETH]
            client.list_coins()
            assert client.used_weight == 200
        wrong = {**fake.credentials, "api_secret": "another"}
        with (
            SmallLiabilityClient(**wrong, **once) as client,
            pytest.raises(AuthenticationError),
        ):
            client.list_coins()
        assert len(upstream.requests) == 2
    with (
        SmallLiabilityClient(**fake.credentials, **once) as client,
        pytest.raises(NetworkError),
    ):
        client.list_coins()
    assert [each.status for each in fake.requests] == [200, 200, 400, None]


def test_the_fixtures(
    fake_binance: FakeBinance, fake_binance_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmallLiabilityClient(**fake_binance.credentials, base_url=fake_binance_url) as client:
        assert client.list_coins() == fake_binance.coins
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it really waited"))
    _time.sleep(3600)


def test_the_plugin_waits_with_its_imports() -> None:
    code = "import pytest_binance_small_liability, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"httpx", "attrs", "binance_small_liability"}.isdisjoint(done.stdout.split())
