"""Every kind of answer or failure over a real socket: what a read and an exchange make of it."""

import gzip
import itertools
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import httpx
import pytest
from binance_small_liability import (
    ApiError,
    AuthenticationError,
    ClockSkewError,
    ContractError,
    FirewallError,
    IpBanError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    Receipt,
    RequestTimeout,
    ServerError,
    SmallLiabilityError,
)
from binance_small_liability._io import http

from tests.clients import CLIENTS, RunClient, in_turn, run_sync
from tests.wire import Answer, Request, closed, reset, response, serving, stalled
from tools.contract import TIME_PATH
from tools.operations import EXCHANGE, LIST_COINS, LIST_EXCHANGES, Operation

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
HTML = b"<html><body>Sorry</body></html>"
# Replaced by the documented success of the operation that is called.
SUCCESS = b"a success"
COIN = json.loads(LIST_COINS.body)[0]

pytestmark = pytest.mark.usefixtures("no_waiting")


class End(NamedTuple):
    """How a call ends: with a success or with an error that has a cause, after some requests."""

    error: type[SmallLiabilityError] | None = None
    requests: int = 1
    cause: type[SmallLiabilityError] | None = None


@dataclass
class Row:
    """The answers of the endpoint in turn (the last one repeats), and how the calls end."""

    name: str
    answers: Answer | list[Answer]
    read: End
    exchange: End | None = None  # None: as the read
    options: dict[str, Any] = field(default_factory=dict)
    time: Answer | None = None  # the answer of /api/v3/time, if it is requested
    says: str = ""  # in the error of the read
    status: int | None = None
    by_library: bool = False  # whether each HTTP library reads it in its own way

    @property
    def queue(self) -> list[Answer]:
        return self.answers if isinstance(self.answers, list) else [self.answers]


def unknown(cause: type[SmallLiabilityError] = NetworkError, requests: int = 1) -> End:
    return End(OutcomeUnknownError, requests, cause)


def refusal(status: int = 400, code: Any = -1003, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return response({"msg": "No.", "code": code}, status, named)


def _dripping(name: str, first: bytes, drop: bytes = b"a") -> Row:
    def drip(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:  # until the client gives up
            connection.sendall(drop)
            time.sleep(0.01)

    options = {"timeout": 0.3, "max_attempts": 1}
    row = Row(f"dripping {name}", drip, End(RequestTimeout), unknown(RequestTimeout), options)
    return replace(row, by_library=True)


def _endless(connection: socket.socket) -> None:
    connection.sendall(HEAD + CHUNKED)
    while True:  # until the client gives up
        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def _coin_with(quantity: str) -> bytes:
    example = json.dumps([{**COIN, "liabilityQty": "?"}])
    return response(example.replace('"?"', quantity).encode())


def _broken(name: str, answer: Answer, says: str = "") -> Row:
    return Row(name, answer, End(NetworkError, 3), unknown(), says=says, by_library=True)


def _too_late(name: str, answer: Answer) -> Row:
    options = {"timeout": 0.3, "max_attempts": 2}
    row = Row(name, answer, End(RequestTimeout, 2), unknown(RequestTimeout), options)
    return replace(row, by_library=True)


def _unclear(name: str, answer: Answer, says: str = "") -> Row:
    return Row(name, answer, End(ContractError), unknown(ContractError), says=says)


def _not_a_coin(name: str, answer: Answer, says: str = "") -> Row:
    """Anything is a success of an exchange while the contract does not document its answer."""
    exchange = unknown(ContractError) if EXCHANGE.generated.is_documented else End()
    return Row(name, answer, End(ContractError), exchange, says=says)


def _redirect(status: int, location: str) -> bytes:
    return response(b"", status, {"Location": location})


def _skewed(
    name: str,
    answers: Answer | list[Answer],
    read: End,
    exchange: End | None = None,
    says: str = "",
) -> Row:
    return Row(f"a wrong clock{name}", answers, read, exchange, time=TIME, says=says)


def _both(error: type[SmallLiabilityError]) -> tuple[End, End]:
    """How a read and an exchange end."""
    return End(error), unknown(error)


def _limited(retry_after: str) -> bytes:
    return refusal(429, Retry_After=retry_after)


def _cut(answer: bytes) -> Answer:
    return closed(answer[:-1])


SKEWED = refusal(code=-1021)
TIME = response({"serverTime": 1_800_000_000_000})
REFUSED = End(ApiError)
DOUBTFUL = unknown(ApiError)
SERVER_ERROR = End(ServerError, 3), unknown(ServerError)
MSG_CUT = _cut(response(b'{"code":-1100,"msg":"Ill"}', 400))
SKEW_CUT = _cut(response(b'{"code":-1021} ', 400))
SERVER_CUT = _cut(refusal(500))
GARBAGE = refusal(429, Retry_After="300", Content_Encoding="gzip")

ROWS = [
    # Connections that break. tests/client/test_io.py cuts answers everywhere.
    _broken("reset before the headers", reset()),
    _broken("closed within the headers", closed(HEAD)),
    _broken("a truncated body", closed(HEAD + b"Content-Length: 500\r\n\r\n{}")),
    _broken("chunked garbage", closed(HEAD + CHUNKED + b"zz\r\n[]\r\n")),
    _broken("not HTTP", closed(b"SSH-2.0-OpenSSH\r\n\r\n")),
    _broken("a length that is not a number", closed(HEAD + b"Content-Length: x\r\n\r\n[]")),
    _broken("two lengths", closed(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]")),
    _broken("no length", closed(HEAD + b"\r\n[]"), says="does not say how long"),
    _broken("a header without end", closed(HEAD + b"X: " + b"x" * 200_000)),
    _broken("a body that never ends", _endless, says="larger than 1000000 bytes"),
    _broken("encoded", response(b"x", headers={"Content-Encoding": "br"}), says="no encoding was"),
    _too_late("slow headers", stalled()),
    _too_late("100 Continue, and silence", stalled(b"HTTP/1.1 100 Continue\r\n\r\n")),
    _too_late("headers that stop", stalled(HEAD)),
    _too_late("a body that stops", stalled(HEAD + b"Content-Length: 9\r\n\r\n[")),
    _dripping("body", HEAD + b"Content-Length: 100000\r\n\r\n["),
    _dripping("status line", b"HTTP/1.1 200 "),
    _dripping("header", HEAD + b"X: "),
    _dripping("trailer", HEAD + CHUNKED + b"0\r\nX: "),
    _dripping("100 Continue", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    Row("broken, then well", [reset(), SUCCESS], End(requests=2), unknown()),
    Row("no retries", reset(), End(NetworkError), unknown(), {"max_attempts": 1}),
    Row("five attempts", reset(), End(NetworkError, 5), unknown(), {"max_attempts": 5}),
    # Successes, and bodies that break the contract of a read.
    Row("a success", SUCCESS, End()),
    _not_a_coin("an empty body", response(b"")),
    _not_a_coin("an empty object", response({}), says="expected an array, got an object"),
    _not_a_coin("a list of empty objects", response([{}]), says="$[0]."),
    _not_a_coin("null", response(b"null")),
    _not_a_coin("nested arrays", response(b"[[[]]]"), says="$[0]"),
    _not_a_coin("an empty name", response([{**COIN, "asset": ""}]), says="$[0].asset"),
    _not_a_coin("a boolean", _coin_with("true"), says="$[0].liabilityQty"),
    _not_a_coin("a code that is no error", refusal(200, 0)),
    _not_a_coin("a text as the code", refusal(200, "000000")),
    _unclear("a text", response(b'"{}"')),
    _unclear("a number", response(b"1")),
    _unclear("NaN", _coin_with("NaN")),
    _unclear("Infinity", _coin_with("Infinity")),
    _unclear("an exponent beyond all", _coin_with("1e" + "9" * 30)),
    _unclear("HTML", response(HTML, content_type="text/html")),
    _unclear("invalid UTF-8", response(b'["\xff\xfe"]')),
    _unclear("invalid JSON", response(b"[{]")),
    _unclear("100,000 levels", response(b"[" * 100_000)),
    _unclear("201", response({}, 201), says="201"),
    _unclear("202 of a firewall", response(b"", 202, {"x-amzn-waf-action": "challenge"})),
    replace(_unclear("204", b"HTTP/1.1 204 No Content\r\n\r\n", says="204"), by_library=True),
    _unclear("299", response({}, 299), says="299"),
    # A refusal with a 200, with the code in any form.
    Row("200 with a code", refusal(200, -1000), REFUSED, status=200),
    Row("200 with a key's code", refusal(200, -2015), End(AuthenticationError)),
    Row("a code with a fraction", refusal(200, -9044.0), REFUSED, says="code -9044:"),
    Row("a code with an exponent", response(b'{"code":-9.044e3}'), REFUSED, says="code -9044"),
    Row("a code as a text", refusal(200, "-9044"), REFUSED, says="code -9044"),
    Row("a code of 21 digits", refusal(200, -(10**20)), REFUSED, says=f"code -{10**20}:"),
    Row("a code that no int can hold", response(b'{"code":-1E+999999999}'), REFUSED),
    Row("a code in a list", response([{"code": -9044}]), REFUSED, says="code -9044"),
    Row("a code after a byte order mark", response(b'\xef\xbb\xbf{"code":-9044}'), REFUSED),
    Row("201 with a code", refusal(201, -9044), REFUSED, DOUBTFUL),
    _unclear("a refusal of a part", response([{}, {"code": -9044}])),
    _unclear("a code after another one", response(b'{"code":-9044,"code":0}')),
    _unclear("a code deeper inside", response({"error": {"code": -9044}})),
    _unclear("a code with another name", response({"errorCode": -9044})),
    _unclear("a code within a text", response(b'"{\\"code\\":-9044}"')),
    _unclear("a code that is not a number", response({"code": "-9044!"})),
    Row("a code before rubbish", response(b'{"code":-9044}<html>'), REFUSED, DOUBTFUL),
    _unclear("a code in UTF-16", response('{"code":-9044}'.encode("utf-16"))),
    _unclear("a code in invalid UTF-8", response(b'{"msg":"\xff","code":-9044}')),
    # Binance does not know the outcome.
    *(
        Row(f"{status} with {code}", refusal(status, code), REFUSED, DOUBTFUL)
        for status in (200, 400)
        for code in (-1006, -1007.0, "-1007")
    ),
    *(
        Row(f"400 with -1007 {form}", response(body, 400), REFUSED, DOUBTFUL)
        for form, body in {
            "in a list": b'[{"code":-1007}]',
            "and an exponent": b'{"code":-1.007e3}',
            "deeper inside": b'{"error":{"code":-1007}}',
            "in HTML": b"<html>-1007</html>",
            "before rubbish": b'{"code":-1007}<html>',
            "in UTF-16": '{"code":-1007}'.encode("utf-16-le"),
            "in invalid UTF-8": b'{"msg":"\xff","code":-1007}',
            "in GZIP that is not declared": gzip.compress(b'{"code":-1007}'),
        }.items()
    ),
    Row("429 with -1007", [refusal(429, -1007), SUCCESS], End(requests=2), unknown(RateLimitError)),
    # Refusals.
    *(
        Row(f"{status}", refusal(status, -9100), REFUSED, status=status)
        for status in (400, 404, 413)
    ),
    Row("400 with an empty body", response(b"", 400), REFUSED),
    Row("401", refusal(401, -2015), End(AuthenticationError), status=401),
    Row("403", response(HTML, 403, content_type="text/html"), End(FirewallError), status=403),
    Row("404 in Latin-1", response(b"Pas trouv\xe9", 404), REFUSED, status=404),
    # A truncated one may have said -1007.
    Row("a truncated 400", _cut(refusal()), REFUSED, DOUBTFUL, by_library=True),
    Row("truncated after a code", MSG_CUT, REFUSED, DOUBTFUL, says="code -1100"),
    Row("a truncated 403", _cut(response(HTML, 403)), *_both(FirewallError)),
    Row("a truncated 418", _cut(refusal(418)), *_both(IpBanError)),
    Row("a truncated -1021", SKEW_CUT, *_both(ClockSkewError), time=reset()),
    Row("429 in garbage", GARBAGE, *_both(RateLimitError), by_library=True),
    # A server in front of Binance did not wait for the outcome.
    Row("408", refusal(408, -1100), REFUSED, DOUBTFUL),
    Row("499", response(b"", 499), REFUSED, DOUBTFUL),
    *(
        Row(f"{status}", _redirect(status, "/elsewhere"), REFUSED, DOUBTFUL, by_library=True)
        for status in (301, 302, 303, 307, 308)
    ),
    *(
        Row(f"307 to {where!r}", _redirect(307, where), REFUSED, DOUBTFUL, by_library=True)
        for where in ("http://[broken", "//", "")
    ),
    Row("a status beyond 599", response(b"", 600), REFUSED, DOUBTFUL, by_library=True),
    *(
        Row(f"{status}", response(HTML, status), *SERVER_ERROR, status=status)
        for status in (500, 520, 599)
    ),
    Row("503", refusal(503, -1008), *SERVER_ERROR, status=503),
    Row("500 with the clock's code", refusal(500, -1021), *SERVER_ERROR),
    Row("a truncated 500", SERVER_CUT, End(NetworkError, 3), SERVER_ERROR[1], by_library=True),
    Row("503, then 200", [refusal(503), SUCCESS], End(requests=2), SERVER_ERROR[1]),
    Row("503, then 400", [refusal(503), refusal()], End(ApiError, 2), SERVER_ERROR[1], status=400),
    # Limits.
    Row("418", refusal(418, Retry_After="120"), End(IpBanError), status=418),
    Row("418 for a second", [refusal(418, Retry_After="1"), SUCCESS], End(IpBanError)),
    Row("418 without a time", [refusal(418), SUCCESS], End(IpBanError)),
    *(
        Row(f"429 with Retry-After {value!r}", [_limited(value), SUCCESS], End(requests=2))
        for value in ("60", "\x1f7", "-5", "1e400", "Fri, 01 Jan 100000 00:00:00 GMT")
    ),
    *(
        Row(f"429 with Retry-After {value}", [_limited(value), SUCCESS], End(RateLimitError))
        for value in ("61", "Fri, 31 Dec 9999 23:59:59 GMT")
    ),
    Row("429 for too long", _limited("9"), End(RateLimitError), options={"max_retry_wait": 8}),
    Row("429 without retries", _limited("1"), End(RateLimitError), options={"max_attempts": 1}),
    Row("429 without a time", [refusal(429), SUCCESS], End(requests=2)),
    Row("429 again and again", _limited("1"), End(RateLimitError, 3), status=429),
    Row("429, then a reset", [_limited("1"), reset()], End(NetworkError, 3), unknown(requests=2)),
    Row("429 with the clock's code", [refusal(429, -1021), SUCCESS], End(requests=2)),
    # The clock.
    _skewed("", [SKEWED, SUCCESS], End(requests=2)),
    _skewed(", with 200", [refusal(200, -1021), SUCCESS], End(requests=2)),
    replace(_skewed(" once", [SKEWED, SUCCESS], End(requests=2)), options={"max_attempts": 1}),
    _skewed(" twice", SKEWED, End(ClockSkewError, 2), says="measured offset"),
    _skewed(", a reset", [SKEWED, reset()], End(NetworkError, 4), unknown(requests=2)),
    _skewed(", 503", [SKEWED, refusal(503)], End(ServerError, 4), unknown(ServerError, 2)),
    _skewed(" after a 429", [_limited("1"), SKEWED, SUCCESS], End(requests=3)),
    _skewed(", a 429, and again", [SKEWED, _limited("1"), SKEWED], End(ClockSkewError, 3)),
    *(
        replace(
            _skewed(f", no time: {name}", SKEWED, End(ClockSkewError), says="not be corrected"),
            time=answer,
            options={"timeout": 0.3},
        )
        for name, answer in {
            "slow": stalled(),
            "503": refusal(503),
            "HTML": response(HTML),
            "a boolean": response({"serverTime": True}),
            "far ahead": response({"serverTime": 2**53 - 1}),
        }.items()
    ),
]


def _cases() -> Iterator[Any]:
    """The row, the operation, and the name of the client.

    What an answer says is judged by code that all clients share, so one client is enough there.
    """
    turn = itertools.cycle(CLIENTS)
    ends = set()
    for row in ROWS:
        for name in CLIENTS if row.by_library else [next(turn)]:
            yield row, LIST_COINS, name
        is_slow = "dripping" in row.name  # it really waits
        for name in CLIENTS if row.by_library and not is_slow else [next(turn)]:
            yield row, EXCHANGE, name
        # One row per kind of end is enough for the history. Wrong coins and wrong clocks end
        # differently there.
        is_same = row.read.error is not ContractError and row.time is not TIME
        if row.read not in ends and is_same and not is_slow:
            ends.add(row.read)
            yield row, LIST_EXCHANGES, "sync"


@pytest.mark.parametrize(
    ("row", "operation", "client"),
    [
        pytest.param(row, operation, CLIENTS[name], id=f"{row.name}-{operation.name}-{name}")
        for row, operation, name in _cases()
    ],
)
def test_faults(
    row: Row, operation: Operation, client: RunClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 1_000_000)  # megabytes would take seconds
    answers = itertools.chain(row.queue[:-1], itertools.repeat(row.queue[-1]))

    def answer(request: Request) -> Answer:
        if request.path == TIME_PATH:
            assert row.time is not None
            return row.time
        found = next(answers)
        return response(operation.body) if found is SUCCESS else found

    end = row.exchange if operation is EXCHANGE and row.exchange else row.read
    with serving(answer) as server:
        if end.error is None:
            result = client(operation.call, base_url=server.url, **row.options)
            if operation is EXCHANGE:
                assert isinstance(result, Receipt)
            else:
                assert result == operation.documented
        else:
            with pytest.raises(SmallLiabilityError) as caught:
                client(operation.call, base_url=server.url, **row.options)
            _assert_is(caught.value, end, row)
    sent = [request for request in server.requests if request.path != TIME_PATH]
    assert len(sent) == end.requests
    asks = row.time is not None and end != unknown(ClockSkewError)
    assert len(server.requests) - len(sent) == asks
    assert len({dict(request.query)["signature"] for request in sent}) == end.requests
    if operation is EXCHANGE:
        assert len({request.connection for request in sent}) == end.requests


def _assert_is(error: SmallLiabilityError, end: End, row: Row) -> None:
    assert type(error) is end.error
    # A repetition with a corrected clock is the same attempt. On a busy machine, connecting takes
    # longer than a short timeout.
    if "timeout" not in row.options:
        assert error.attempts == end.requests - (row.time is TIME)
    if isinstance(error, OutcomeUnknownError):
        assert not isinstance(error, (NetworkError, ServerError))
        assert error.receipt.assets == ("ETH",)
        cause = error.__cause__
        assert isinstance(cause, SmallLiabilityError)
        assert type(cause) is end.cause
        assert cause.attempts == error.attempts
        _assert_cause(cause)
        return
    _assert_cause(error)
    assert row.says in str(error)
    assert row.status in (None, getattr(error, "status_code", None))


def _assert_cause(error: SmallLiabilityError) -> None:
    """The cause of a network error is an error of httpx, whatever the transport."""
    if isinstance(error, NetworkError):
        assert isinstance(error.__cause__, httpx.TransportError)
        is_timeout = isinstance(error.__cause__, httpx.TimeoutException)
        assert is_timeout == isinstance(error, RequestTimeout)
        assert "No usable response from 127.0.0.1" in str(error)


def test_each_answer_over_a_connection_has_its_own_deadline(
    client: RunClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def the_deadline_passes(_: Any) -> None:
        now = time.monotonic() + 2
        monkeypatch.setattr(time, "monotonic", lambda: now)

    steps = in_turn(LIST_COINS.call, the_deadline_passes, LIST_COINS.call)
    with serving(response()) as server:
        client(steps, base_url=server.url, timeout=1)
    # Otherwise it was another attempt over another connection.
    assert len({request.connection for request in server.requests}) == 1


@pytest.mark.parametrize("operation", [LIST_COINS, EXCHANGE], ids=str)
@pytest.mark.parametrize("why", ["nobody listens", "no such host", "no TLS"])
def test_what_was_certainly_not_sent_is_retried(
    client: RunClient, operation: Operation, why: str
) -> None:
    with serving(response(operation.body)) as closed_server:
        pass
    with serving(response(operation.body)) as server:
        url = {
            "nobody listens": closed_server.url,
            "no such host": "https://does-not-exist.invalid",
            "no TLS": server.url.replace("http:", "https:"),
        }[why]
        with pytest.raises(NetworkError) as caught:
            client(operation.call, base_url=url)
    assert not server.requests
    assert type(caught.value) is NetworkError
    assert caught.value.attempts == 3


def test_the_largest_body() -> None:
    body = LIST_COINS.body.ljust(10 * 1024 * 1024)
    with serving(response(body)) as server:
        assert run_sync(LIST_COINS.call, base_url=server.url) == LIST_COINS.documented
        assert server.requests[0].header("Accept-Encoding") == "identity"
    with (
        serving(response(body + b" ")) as server,
        pytest.raises(NetworkError, match="larger than 10485760 bytes"),
    ):
        run_sync(LIST_COINS.call, base_url=server.url, max_attempts=1)
