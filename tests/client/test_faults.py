"""Every kind of answer or failure over a real socket, and its result in both clients."""

import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from binance_small_liability import (
    ApiError,
    AsyncSmallLiabilityClient,
    ClockSkewError,
    ContractError,
    FirewallError,
    IpBanError,
    NetworkError,
    RateLimitError,
    RequestTimeout,
    ServerError,
    SmallLiabilityClient,
    SmallLiabilityError,
)

from tests.clients import run_sync
from tests.conftest import CREDENTIALS, ETH, ListCoins
from tests.wire import (
    DOCUMENTED,
    Answer,
    Request,
    WireServer,
    closed,
    reset,
    response,
    serving,
    stalled,
)
from tools.contract import LIST_PATH, TIME_PATH
from tools.operations import LIST_EXCHANGES

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
HTML = b"<html><body>Sorry</body></html>"
OK = response()
SKEWED = response({"code": -1021, "msg": "Outside."}, 400)


# Other tests measure coverage: it would double the time of these.
pytestmark = [pytest.mark.usefixtures("no_waiting"), pytest.mark.no_cover]


def _refusal(status: int, code: int = -1003, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return response({"code": code, "msg": "No."}, status, named)


def _dripping(first: bytes, drop: bytes = b"a") -> Answer:
    def act(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:  # until the client gives up
            connection.sendall(drop)
            time.sleep(0.01)

    return act


def _endless(connection: socket.socket) -> None:
    connection.sendall(HEAD + CHUNKED)
    while True:  # until the client gives up
        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def _whole(body: bytes) -> Answer:
    return response(body)


def _coin_with(quantity: str) -> bytes:
    return DOCUMENTED.replace(b"0.3552", quantity.encode())


@dataclass
class Row:
    """The answers of the endpoint in turn (the last one repeats), and the expected result."""

    name: str
    answers: list[Answer]
    expected: type[SmallLiabilityError] | list[Any]
    requests: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    time: Answer | None = None  # the answer of /api/v3/time, if it is requested
    says: str = ""
    status: int | None = None
    # A repetition with a corrected clock is the same attempt.
    attempts: int | None = None

    def __str__(self) -> str:
        return self.name


def _broken(name: str, *answers: Answer, **more: Any) -> Row:
    return Row(name, list(answers), NetworkError, requests=3, **more)


QUICK = {"timeout": 0.5, "max_attempts": 2}
ONCE = {"timeout": 0.5, "max_attempts": 1}

ROWS = [
    # Connections that break.
    _broken("reset before the headers", reset()),
    _broken("reset within the headers", reset(b"HTTP/1.1 200 OK\r\nContent-Le")),
    _broken("reset after the headers", reset(HEAD + b"Content-Length: 100\r\n\r\n")),
    _broken("closed before the headers", closed()),
    _broken("truncated body", closed(HEAD + b"Content-Length: 500\r\n\r\n" + DOCUMENTED)),
    _broken("truncated chunks", closed(HEAD + CHUNKED + b"5\r\n[{")),
    _broken("chunked garbage", closed(HEAD + CHUNKED + b"zz\r\n[]\r\n")),
    _broken("gzip garbage", response(b"garbage", headers={"Content-Encoding": "gzip"})),
    _broken("not HTTP", closed(b"SSH-2.0-OpenSSH\r\n\r\n")),
    _broken("a length that is not a number", closed(HEAD + b"Content-Length: x\r\n\r\n[]")),
    _broken("two lengths", closed(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]")),
    _broken("header without end", closed(HEAD + b"X: " + b"x" * 200_000)),
    *(
        _broken(
            f"encoded with {encoding}",
            response(b"x", headers={"Content-Encoding": encoding}),
            says="no encoding was asked for",
        )
        for encoding in ("gzip", "gzip, gzip", "br", "zstd", "unheard")
    ),
    _broken("a body that never ends", _endless),
    _broken("a length that is too short", closed(HEAD + b"Content-Length: 5\r\n\r\n[{}, 1")),
    _broken("no length", closed(HEAD + b"\r\n" + DOCUMENTED), says="does not say how long"),
    Row("slow headers", [stalled()], RequestTimeout, 2, QUICK),
    Row("headers that stop", [stalled(HEAD)], RequestTimeout, 2, QUICK),
    Row(
        "body that stops",
        [stalled(HEAD + b"Content-Length: 9\r\n\r\n[")],
        RequestTimeout,
        2,
        QUICK,
    ),
    Row(
        "dripping body",
        [_dripping(HEAD + b"Content-Length: 100000\r\n\r\n[")],
        RequestTimeout,
        1,
        ONCE,
    ),
    Row("dripping status line", [_dripping(b"HTTP/1.1 200 ")], RequestTimeout, 1, ONCE),
    Row("dripping header", [_dripping(HEAD + b"X: ")], RequestTimeout, 1, ONCE),
    Row(
        "dripping chunk extension",
        [_dripping(HEAD + CHUNKED + b"1\r\n[\r\n1;")],
        RequestTimeout,
        1,
        ONCE,
    ),
    Row("dripping trailer", [_dripping(HEAD + CHUNKED + b"0\r\nX: ")], RequestTimeout, 1, ONCE),
    Row(
        "100 Continue for ever",
        [_dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
        RequestTimeout,
        1,
        ONCE,
    ),
    Row("broken, then well", [reset(), OK], [ETH], 2),
    Row("retries switched off", [reset()], NetworkError, 1, {"max_attempts": 1}),
    Row("five attempts", [reset()], NetworkError, 5, {"max_attempts": 5}),
    # Bodies that break the contract.
    Row("HTML with 200", [response(HTML, content_type="text/html")], ContractError),
    Row("empty body", [_whole(b"")], ContractError),
    Row("no content", [b"HTTP/1.1 204 No Content\r\n\r\n"], ContractError, says="204"),
    Row("invalid UTF-8", [_whole(b'["\xff\xfe"]')], ContractError),
    Row("invalid JSON", [_whole(b"[{]")], ContractError),
    Row("object", [_whole(b"{}")], ContractError, says="expected an array, got an object"),
    Row("null", [_whole(b"null")], ContractError),
    Row("number", [_whole(b"1")], ContractError),
    Row("nested arrays", [_whole(b"[[[]]]")], ContractError, says="$[0]"),
    Row("missing field", [_whole(b'[{"asset":"ETH"}]')], ContractError, says="$[0].principal"),
    Row("null field", [_whole(_coin_with("null"))], ContractError, says="$[0].liabilityQty"),
    Row("boolean", [_whole(_coin_with("true"))], ContractError, says="$[0].liabilityQty"),
    Row("NaN", [_whole(_coin_with("NaN"))], ContractError),
    Row("Infinity", [_whole(_coin_with("Infinity"))], ContractError),
    Row("100,000 levels deep", [_whole(b"[" * 100_000)], ContractError),
    Row("an exponent beyond all", [_whole(_coin_with("1e" + "9" * 30))], ContractError),
    # Refusals, also with a broken body.
    Row(
        "a truncated 403", [closed(b"HTTP/1.1 403 X\r\nContent-Length: 9\r\n\r\nx")], FirewallError
    ),
    Row("a truncated 418", [closed(_refusal(418, Retry_After="99")[:-1])], IpBanError),
    Row(
        "429 in garbage",
        [_refusal(429, Retry_After="300", Content_Encoding="gzip")],
        RateLimitError,
    ),
    Row("a 429 with the clock's code", [_refusal(429, -1021), OK], [ETH], 2),
    Row(
        "the clock refused again after a 503",
        [SKEWED, _refusal(503), SKEWED],
        ClockSkewError,
        3,
        time=response({"serverTime": 1_800_000_000_000}),
        attempts=2,
    ),
    Row("200 with a code that is not a refusal", [_refusal(200, 0)], ContractError),
    Row("a refusal with 200", [_refusal(200, -1000)], ApiError, status=200),
    Row("400", [_refusal(400, -1100)], ApiError, status=400),
    Row("401", [_refusal(401, -2015)], ApiError, status=401),
    Row("403", [response(HTML, 403, content_type="text/html")], FirewallError, status=403),
    Row("404", [response(HTML, 404, content_type="text/html")], ApiError, status=404),
    Row("502", [response(HTML, 502, content_type="text/html")], ServerError, 3, status=502),
    Row("520", [response(HTML, 520, content_type="text/html")], ServerError, 3, status=520),
    Row("599", [response(b"", 599)], ServerError, 3, status=599),
    Row("503, then 200", [_refusal(503, -1008), OK], [ETH], 2),
    Row("503, then 400", [_refusal(503, -1008), _refusal(400, -1100)], ApiError, 2, status=400),
    # Limits.
    Row("418", [_refusal(418, Retry_After="120")], IpBanError, status=418),
    Row("418 for a second", [_refusal(418, Retry_After="1"), OK], IpBanError, status=418),
    Row("418 without a time", [_refusal(418), OK], IpBanError, status=418),
    Row("429 for 7 s", [_refusal(429, Retry_After="7"), OK], [ETH], 2),
    Row("429 for 60 s", [_refusal(429, Retry_After="60"), OK], [ETH], 2),
    Row("429 for 61 s", [_refusal(429, Retry_After="61"), OK], RateLimitError, status=429),
    Row(
        "429 for too long",
        [_refusal(429, Retry_After="9"), OK],
        RateLimitError,
        1,
        {"max_retry_wait": 8},
    ),
    Row(
        "429 without retries",
        [_refusal(429, Retry_After="1"), OK],
        RateLimitError,
        1,
        {"max_attempts": 1},
    ),
    Row("429 without a time", [_refusal(429), OK], [ETH], 2),
    Row("429 again and again", [_refusal(429, Retry_After="1")], RateLimitError, 3, status=429),
    *(
        Row(f"429 with Retry-After {value!r}", [_refusal(429, Retry_After=value), OK], [ETH], 2)
        for value in ("\x1f7", "7\x1c", "0", "-5", "nan", "inf", "-inf", "soon", "", "1e400", "0.5")
    ),
    Row(
        "429 until a past date",
        [_refusal(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), OK],
        [ETH],
        2,
    ),
    Row(
        "429 until the year 100000",
        [_refusal(429, Retry_After="Fri, 01 Jan 100000 00:00:00 GMT"), OK],
        [ETH],
        2,
    ),
    Row(
        "429 until the year 9999",
        [_refusal(429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"), OK],
        RateLimitError,
    ),
    # The clock.
    Row(
        "200 after a clock jump",
        [SKEWED, OK],
        [ETH],
        2,
        time=response({"serverTime": 1_800_000_000_000}),
    ),
    Row(
        "the clock refused twice",
        [SKEWED],
        ClockSkewError,
        2,
        time=response({"serverTime": 1_800_000_000_000}),
        says="measured offset",
    ),
    Row(
        "503, then a clock jump",
        [_refusal(503), SKEWED, OK],
        [ETH],
        3,
        time=response({"serverTime": 1_800_000_000_000}),
    ),
    Row(
        "the clock corrected without retries",
        [SKEWED, OK],
        [ETH],
        2,
        {"max_attempts": 1},
        response({"serverTime": 1_800_000_000_000}),
    ),
    *(
        Row(
            f"no time: {name}",
            [SKEWED, OK],
            ClockSkewError,
            1,
            QUICK if name == "slow" else {},
            answer,
            "could not be corrected",
        )
        for name, answer in {
            "slow": stalled(),
            "reset": reset(),
            "503": _refusal(503),
            "HTML": response(HTML),
            "a string": response({"serverTime": "1499827319559"}),
            "a boolean": response({"serverTime": True}),
            "negative": response({"serverTime": -1}),
            "before Binance": response({"serverTime": 0}),
            "far ahead": response({"serverTime": 2**53 - 1}),
            "absurd": response({"serverTime": 10**30}),
            "missing": response({}),
            "an array": response([]),
        }.items()
    ),
    Row("a server error with the clock's code", [_refusal(503, -1021)], ServerError, 3),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_faults(list_coins: ListCoins, row: Row) -> None:
    assert_outcome(list_coins, row)


# Not the answers that drip: their tests really wait, and deadlines do not depend on the operation.
_OF_THE_HISTORY = [
    row for row in ROWS if row.expected is not ContractError and "dripping" not in row.name
]


@pytest.mark.parametrize("row", _OF_THE_HISTORY, ids=str)
def test_faults_of_the_history(row: Row) -> None:
    history = response(LIST_EXCHANGES.body)
    answers = [history if answer == OK else answer for answer in row.answers]
    expected = LIST_EXCHANGES.documented if row.expected == [ETH] else row.expected

    def list_exchanges(**options: Any) -> Any:
        return run_sync(LIST_EXCHANGES.call, **options)

    assert_outcome(list_exchanges, replace(row, answers=answers, expected=expected))


def assert_outcome(list_coins: Callable[..., Any], row: Row) -> None:
    answers = itertools.chain(row.answers[:-1], itertools.repeat(row.answers[-1]))

    def answer(request: Request) -> Answer:
        if request.path == TIME_PATH:
            assert row.time is not None
            return row.time
        return next(answers)

    with serving(answer) as server:
        if isinstance(row.expected, list):
            assert list_coins(base_url=server.url, **row.options) == row.expected
        else:
            with pytest.raises(SmallLiabilityError) as caught:
                list_coins(base_url=server.url, **row.options)
            _assert_is(caught.value, row)
        _assert_sent(server, row)


def _assert_is(error: SmallLiabilityError, row: Row) -> None:
    assert isinstance(row.expected, type)
    assert isinstance(error, row.expected)
    if row.expected in (NetworkError, ApiError):
        assert not isinstance(error, (RequestTimeout, ServerError))
    usual = 1 if isinstance(error, ClockSkewError) else row.requests
    assert error.attempts == (row.attempts or usual)
    assert row.says in str(error)
    if row.status is not None:
        assert isinstance(error, ApiError)
        assert error.status_code == row.status


def _assert_sent(server: WireServer, row: Row) -> None:
    sent = [request for request in server.requests if request.path != TIME_PATH]
    asked = [request for request in server.requests if request.path == TIME_PATH]
    assert len(sent) == row.requests
    assert len(asked) == (0 if row.time is None else 1)
    assert all(request.header("X-MBX-APIKEY") is None for request in asked)
    stamps = {
        (dict(request.query)["timestamp"], dict(request.query)["signature"]) for request in sent
    }
    assert len(stamps) == len(sent), "two attempts carried the same timestamp and signature"


@pytest.mark.parametrize("is_async", [False, True])
def test_each_answer_over_a_connection_has_its_own_deadline(
    monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    def the_deadline_passes() -> None:
        now = time.monotonic() + 2
        monkeypatch.setattr(time, "monotonic", lambda: now)

    async def calls(url: str) -> None:
        async with AsyncSmallLiabilityClient(base_url=url, timeout=1, **CREDENTIALS) as client:
            await client.list_coins()
            the_deadline_passes()
            await client.list_coins()

    with serving(OK) as server:
        if is_async:
            asyncio.run(calls(server.url))
        else:
            with SmallLiabilityClient(base_url=server.url, timeout=1, **CREDENTIALS) as client:
                client.list_coins()
                the_deadline_passes()
                client.list_coins()
    # Otherwise it was another attempt over another connection.
    assert len({request.connection for request in server.requests}) == 1


def test_a_port_without_a_server(list_coins: ListCoins) -> None:
    with serving(OK) as server:
        url = server.url
    with pytest.raises(NetworkError) as caught:
        list_coins(base_url=url)
    assert caught.value.attempts == 3


def test_a_redirect_is_refused_and_never_followed(list_coins: ListCoins) -> None:
    with serving(OK) as other:
        for status in (301, 302, 303, 307, 308):
            for location in (f"{other.url}{LIST_PATH}", "http://[broken", "//", ""):
                redirect = response(b"", status, {"Location": location})
                with serving(redirect) as server, pytest.raises(ApiError) as caught:
                    list_coins(base_url=server.url)
                assert caught.value.status_code == status
                assert len(server.requests) == 1
    assert not other.requests


def test_the_largest_body(list_coins: ListCoins) -> None:
    body = DOCUMENTED.ljust(10 * 1024 * 1024)
    with serving(response(body)) as server:
        assert list_coins(base_url=server.url) == [ETH]
        assert server.requests[0].header("Accept-Encoding") == "identity"
    with (
        serving(response(body + b" ")) as server,
        pytest.raises(NetworkError, match="larger than 10485760 bytes"),
    ):
        list_coins(base_url=server.url, max_attempts=1)
