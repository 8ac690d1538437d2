"""An exchange is never sent twice, and an unknown outcome is reported as unknown."""

import asyncio
import itertools
import logging
import pickle
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from binance_small_liability import (
    ApiError,
    AsyncSmallLiabilityClient,
    AuthenticationError,
    ClockSkewError,
    ConfigurationError,
    FirewallError,
    IpBanError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeout,
    ServerError,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability._io import network
from binance_small_liability.aiohttp import AiohttpTransport
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.clients import CREDENTIALS, RunClient
from tests.wire import Answer, Request, closed, reset, response, serving, stalled
from tools.contract import TIME_PATH

pytestmark = pytest.mark.usefixtures("no_waiting")

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
SKEWED = response({"code": -1021, "msg": "Outside."}, 400)
TIME = response({"serverTime": 1_800_000_000_000})
QUICK = {"timeout": 0.3}


def _refusal(status: int, code: int = -1003, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return response({"code": code, "msg": "No."}, status, named)


@dataclass
class Row:
    """The answers of the endpoint in turn (the last one repeats), and the expected result."""

    name: str
    answers: list[Answer]
    expected: type[SmallLiabilityError] | None  # None for a success
    requests: int = 1
    cause: type[SmallLiabilityError] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    time: Answer = TIME

    def __str__(self) -> str:
        return self.name


def _unknown(name: str, *answers: Answer, cause: Any = NetworkError, **more: Any) -> Row:
    return Row(name, list(answers), OutcomeUnknownError, cause=cause, **more)


def _accepted(name: str, answer: Answer, **more: Any) -> Row:
    return Row(name, [answer], None, **more)


ROWS = [
    # No answer, or one that breaks before its headers are complete.
    _unknown("reset after the request", reset()),
    _unknown("closed after the request", closed()),
    _unknown("reset within the status line", reset(b"HTTP/1.1 20")),
    _unknown("closed within the headers", closed(HEAD)),
    _unknown("reset within the headers", reset(HEAD + b"Content-Le")),
    _unknown("not HTTP", closed(b"SSH-2.0-OpenSSH\r\n\r\n")),
    _unknown("an endless header", closed(HEAD + b"X: " + b"x" * 200_000)),
    _unknown("silence", stalled(), cause=RequestTimeout, options=QUICK),
    _unknown("headers that stop", stalled(HEAD), cause=RequestTimeout, options=QUICK),
    _unknown(
        "100 and silence",
        stalled(b"HTTP/1.1 100 Continue\r\n\r\n"),
        cause=RequestTimeout,
        options=QUICK,
    ),
    # Every 5xx, with any body.
    *(
        _unknown(f"{status}", response(b"<html>", status), cause=ServerError)
        for status in (500, 502, 503, 504, 520, 526, 530, 599)
    ),
    _unknown("503 with -1008", _refusal(503, -1008), cause=ServerError),
    _unknown("500 with -1021", _refusal(500, -1021), cause=ServerError),
    _unknown(
        "a truncated 500",
        closed(b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\n{"),
        cause=ServerError,
    ),
    _unknown("a status beyond 599", response(b"", 600), cause=ApiError),
    _unknown("101", closed(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), cause=None),
    # Codes with which Binance reports an unknown outcome, with any status.
    _unknown("200 with -1007", _refusal(200, -1007), cause=ApiError),
    _unknown("400 with -1006", _refusal(400, -1006), cause=ApiError),
    # Every 2xx is a success, with any body.
    _accepted("an empty object", response({})),
    _accepted("a list", response([{}])),
    _accepted("null", response(b"null")),
    _accepted("no body", response(b"")),
    _accepted("HTML", response(b"<html>")),
    _accepted("invalid UTF-8", response(b"\xff")),
    _accepted("100,000 levels", response(b"[" * 100_000)),
    _accepted("a code that is not negative", response({"code": 0, "msg": "success"})),
    _accepted("204", b"HTTP/1.1 204 No Content\r\n\r\n"),
    _accepted("202", response({}, 202)),
    _accepted("299", response({}, 299)),
    _accepted("a truncated body", closed(HEAD + b"Content-Length: 50\r\n\r\n{")),
    _accepted("a reset body", reset(HEAD + b"Content-Length: 50\r\n\r\n{")),
    _accepted("truncated chunks", closed(HEAD + CHUNKED + b"5\r\n{")),
    _accepted("a body that stops", stalled(HEAD + b"Content-Length: 9\r\n\r\n{"), options=QUICK),
    _accepted("gzip", response(b"x", headers={"Content-Encoding": "gzip"})),
    # Except a body with an error.
    Row("200 with an error", [_refusal(200, -3044)], ApiError),
    Row("201 with an error", [_refusal(201, -2015)], AuthenticationError),
    Row(
        "200 with a truncated error",
        [closed(HEAD + b'Content-Length: 50\r\n\r\n{"code":-3044,"msg":"Sys')],
        ApiError,
    ),
    Row("an error in invalid UTF-8", [response(b'{"code":-3044,"msg":"\xff"}')], ApiError),
    Row("an error after a byte order mark", [response(b'\xef\xbb\xbf{"code":-3044}')], ApiError),
    # Refusals.
    *(
        Row(f"{status}", [_refusal(status, -1100)], ApiError)
        for status in (400, 404, 405, 409, 413)
    ),
    Row("401", [_refusal(401, -2015)], AuthenticationError),
    Row("403", [response(b"<html>", 403)], FirewallError),
    Row(
        "a truncated 403", [closed(b"HTTP/1.1 403 X\r\nContent-Length: 9\r\n\r\nx")], FirewallError
    ),
    Row("a redirect", [response(b"", 307, {"Location": "/elsewhere"})], ApiError),
    Row("418", [_refusal(418, Retry_After="1"), response({})], IpBanError),
    Row("429, then accepted", [_refusal(429, Retry_After="7"), response({})], None, 2),
    Row("429 without a time, then accepted", [_refusal(429), response({})], None, 2),
    Row("429 for too long", [_refusal(429, Retry_After="61")], RateLimitError),
    Row("429 again and again", [_refusal(429, Retry_After="1")], RateLimitError, 3),
    _unknown("429, then a reset", _refusal(429, Retry_After="1"), reset(), requests=2),
    # The clock.
    Row("a wrong clock, then accepted", [SKEWED, response({})], None, 2),
    Row("a wrong clock twice", [SKEWED], ClockSkewError, 2),
    Row("a wrong clock, and no time", [SKEWED], ClockSkewError, time=_refusal(503)),
    Row("a wrong clock, and no answer", [SKEWED], ClockSkewError, time=reset()),
    _unknown("a wrong clock, then a reset", SKEWED, reset(), requests=2),
    _unknown("a wrong clock, then a 503", SKEWED, _refusal(503), requests=2, cause=ServerError),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_faults(client: RunClient, row: Row) -> None:
    answers = itertools.chain(row.answers[:-1], itertools.repeat(row.answers[-1]))

    def answer(request: Request) -> Answer:
        return row.time if request.path == TIME_PATH else next(answers)

    with serving(answer) as server:
        if row.expected is None:
            assert client(_exchange, base_url=server.url, **row.options) is None
        else:
            with pytest.raises(SmallLiabilityError) as caught:
                client(_exchange, base_url=server.url, **row.options)
            _assert_is(caught.value, row)
        sent = [request for request in server.requests if request.path != TIME_PATH]
        assert len(sent) == row.requests
        assert len({request.connection for request in sent}) == row.requests
        assert len({dict(request.query)["signature"] for request in sent}) == row.requests


def _exchange(client: Any) -> Any:
    return client.exchange(["BTC", "ETH"])


def _assert_is(error: SmallLiabilityError, row: Row) -> None:
    assert type(error) is row.expected
    if isinstance(error, OutcomeUnknownError):
        assert not isinstance(error, (NetworkError, ServerError))
        assert isinstance(error.__cause__, SmallLiabilityError)
        # The class for a 101 depends on the transport.
        assert row.cause in (None, type(error.__cause__))
        assert error.assets == ("BTC", "ETH")
        assert "list_exchanges(start=sent_at)" in str(error)
        assert error.sent_at.isoformat() in str(error)


def test_a_host_that_does_not_exist_is_retried(client: RunClient) -> None:
    with pytest.raises(NetworkError) as caught:
        client(_exchange, base_url="https://does-not-exist.invalid")
    assert caught.value.attempts == 3


def test_without_a_turn_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binance_small_liability._io.threads.MOST_IN_FLIGHT", 0)
    with (
        serving(response({})) as server,
        SmallLiabilityClient(
            base_url=server.url, timeout=0.01, max_attempts=2, **CREDENTIALS
        ) as client,
        pytest.raises(RequestTimeout, match="No connection became free") as caught,
    ):
        client.exchange(["BTC"])
    assert caught.value.attempts == 2
    assert not server.requests


def test_an_exchange_that_is_interrupted_after_its_answer_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def give_back(connection: Any) -> None:
        await connection.close()
        raise KeyboardInterrupt

    with (
        serving(response({})) as server,
        SmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client,
    ):
        monkeypatch.setattr(client._io, "give_back", give_back)
        with pytest.raises(KeyboardInterrupt):
            client.exchange(["BTC"])
    assert "exchange of BTC was interrupted after sending began" in caplog.text


@pytest.mark.parametrize("certain", ["nobody listens", "TLS with a server that speaks none"])
def test_a_request_that_was_certainly_not_sent_is_retried(client: RunClient, certain: str) -> None:
    with serving(response({})) as server:
        url = server.url
        if certain == "TLS with a server that speaks none":
            with pytest.raises(NetworkError) as caught:
                client(_exchange, base_url=url.replace("http:", "https:"))
            assert not server.requests
    if certain == "nobody listens":
        with pytest.raises(NetworkError) as caught:
            client(_exchange, base_url=url)
    assert caught.value.attempts == 3
    assert not isinstance(caught.value, RequestTimeout)


@pytest.mark.parametrize("size", [0, 10], ids=["before", "in the middle"])
def test_a_server_that_closes_before_it_has_read_leaves_the_outcome_unknown(
    client: RunClient, size: int
) -> None:
    accepted = 0

    def close_at_once(listener: socket.socket) -> None:
        nonlocal accepted
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted += 1
            if size:
                connection.recv(size)
            connection.close()  # with bytes unread, this resets the connection

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=close_at_once, args=(listener,))
        thread.start()
        with pytest.raises(OutcomeUnknownError):
            client(_exchange, base_url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert accepted == 1


@pytest.fixture
def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a TLS context for a server that the clients trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    network.tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    yield context
    network.tls.cache_clear()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", OutcomeUnknownError),
        (HEAD, OutcomeUnknownError),
        (HEAD + b"Content-Length: 50\r\n\r\n{", None),
        (response({}), None),
        (None, OutcomeUnknownError),
    ],
    ids=["no answer", "in the headers", "in the body", "an answer", "bytes that are not TLS"],
)
def test_tls(
    client: RunClient, tls_server: ssl.SSLContext, answer: bytes | None, expected: Any
) -> None:
    received = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
                with tls_server.wrap_socket(plain, server_side=True) as connection:
                    received.append(connection.recv(65_536))
                    if answer is None:
                        raw = socket.socket(fileno=connection.detach())
                        raw.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 9)
                        raw.close()
                    else:
                        connection.sendall(answer)
            except OSError:
                if listener.fileno() == -1:
                    return

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(listener,))
    thread.start()
    try:
        url = f"https://localhost:{listener.getsockname()[1]}"
        if expected is None:
            client(_exchange, base_url=url)
        else:
            with pytest.raises(expected):
                client(_exchange, base_url=url)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
    assert len(received) == 1
    assert b"assetNames=BTC%2CETH" in received[0]


NO_LIST = 'must be a list of names, such as ["BTC", "ETH"]'
BLANK = "must hold names that are not blank"
REMOVE = "; remove commas, control characters and spaces around it"


@pytest.mark.parametrize(
    ("assets", "problem"),
    [
        ("BTC", NO_LIST),
        (b"BTC", NO_LIST),
        (None, NO_LIST),
        ([], "must hold 1 to 10 names, not 0"),
        ([f"A{number}" for number in range(11)], "must hold 1 to 10 names, not 11"),
        ([""], BLANK),
        (["BTC", "  "], BLANK),
        ([None], BLANK),
        (["BTC,ETH"], f"holds 'BTC,ETH'{REMOVE}"),
        ([" BTC"], f"holds ' BTC'{REMOVE}"),
        (["B\nTC"], f"holds 'B\\nTC'{REMOVE}"),
        (["B" * 101], "holds a name of over 100 characters"),
        (["BTC", "ETH", "BTC"], "holds a name twice; remove the duplicate"),
    ],
)
def test_wrong_assets_are_refused_before_anything_is_sent(
    client: RunClient, assets: Any, problem: str
) -> None:
    with serving(response({})) as server:
        with pytest.raises(ConfigurationError) as caught:
            client(lambda c: c.exchange(assets), base_url=server.url)
        assert not server.requests
    assert (caught.value.option, caught.value.problem) == ("assets", problem)


def test_ten_assets_with_long_names_are_taken(client: RunClient) -> None:
    names = [f"{number}".ljust(100, "A") for number in range(10)]
    with serving(response({})) as server:
        client(lambda c: c.exchange(names), base_url=server.url)
    assert len(server.requests) == 1


def test_any_iterable_of_names_is_accepted(client: RunClient) -> None:
    with serving(response({})) as server:
        client(lambda c: c.exchange(name for name in ("BTC", "ETH")), base_url=server.url)
    assert server.requests[0].query[0] == ("assetNames", "BTC%2CETH")


def test_sent_at_is_not_later_than_the_exchange(client: RunClient) -> None:
    """Binance accepts timestamps up to 1 s ahead of its clock, so its clock may be 1 s behind."""
    with serving(lambda _: reset()) as server, pytest.raises(OutcomeUnknownError) as caught:
        client(_exchange, base_url=server.url)
    timestamp = int(dict(server.requests[0].query)["timestamp"])
    sent_at = caught.value.sent_at
    assert sent_at.utcoffset() == timedelta(0)
    assert round(sent_at.timestamp() * 1000) == timestamp - 1000


def test_the_error_can_be_pickled() -> None:
    error = OutcomeUnknownError(assets=["BTC"], sent_at=datetime(2026, 1, 1, tzinfo=UTC))
    error.attempts = 1
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert str(twin) == str(error)
    assert (twin.assets, twin.sent_at) == (("BTC",), error.sent_at)


@pytest.mark.parametrize("transport", [None, AiohttpTransport], ids=["httpx", "aiohttp"])
def test_a_cancelled_exchange_is_logged(caplog: pytest.LogCaptureFixture, transport: Any) -> None:
    arrived = threading.Event()

    def answer(_: Request) -> Answer:
        arrived.set()
        return stalled()

    async def call(url: str) -> None:
        async with AsyncSmallLiabilityClient(
            base_url=url, transport=transport and transport(), **CREDENTIALS
        ) as client:
            task = asyncio.create_task(client.exchange(["BTC", "ETH"]))
            while not arrived.is_set():
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with serving(answer) as server:
        asyncio.run(call(server.url))
    [record] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "exchange of BTC, ETH" in record.getMessage()
    assert "outcome is unknown" in record.getMessage()
    assert str(datetime.now(UTC).year) in record.getMessage()


def test_an_exchange_cancelled_before_it_is_sent_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def call() -> None:
        async with AsyncSmallLiabilityClient(
            base_url="http://localhost:9", **CREDENTIALS
        ) as client:
            task = asyncio.create_task(client.exchange(["BTC"]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(call())
    assert not caplog.records


def test_many_threads_exchange_once_each() -> None:
    with (
        serving(lambda request: reset() if "A7" in request.target else response({})) as server,
        SmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client,
    ):
        failed: list[Any] = []

        def call(number: int) -> None:
            try:
                client.exchange([f"A{number}"])
            except SmallLiabilityError as error:
                failed.append(error)

        threads = [threading.Thread(target=call, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.requests) == 50
    assert [(type(error), error.assets) for error in failed] == [(OutcomeUnknownError, ("A7",))]
