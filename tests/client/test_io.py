"""The io layer: answers, signatures, connections over sockets, idle connections."""

import asyncio
import re
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

import anyio
import httpx
import pytest
import trio
from binance_small_liability import ContractError
from binance_small_liability._io import network, tasks, threads
from binance_small_liability._io.connections import IdleConnections
from binance_small_liability._io.http import MAX_BODY
from binance_small_liability._io.messages import Answer, Connection, Request, Signature
from binance_small_liability._io.tasks import TaskConnection, TaskIo
from binance_small_liability._io.threads import ThreadConnection
from binance_small_liability._secrets import Hidden
from binance_small_liability.aiohttp import AiohttpTransport

from tests.wire import closed, reset, serving, stalled

SIGNATURE = Signature("the-key", b"a=1&b=2", "the%2Bsignature")
HEAD = b"GET /path?a=1&b=2 HTTP/1.1\r\nHost: x\r\n\r\n"
SIGNED_HEAD = (
    b"GET /path?a=1&b=2&signature=the%2Bsignature HTTP/1.1\r\n"
    b"X-MBX-APIKEY: the-key\r\nHost: x\r\n\r\n"
)


def _answer(body: bytes) -> Answer:
    return Answer(200, httpx.Headers(), body)


def test_numbers_are_exact_and_decoded_once() -> None:
    digits = "9" * 20
    answer = _answer(f"[1.10, 7, -0, {digits}, {digits}1]".encode())
    read = answer.json()
    assert [type(number) for number in read] == [Decimal, int, Decimal, int, Decimal]
    assert [str(number) for number in read] == ["1.10", "7", "-0", digits, f"{digits}1"]
    assert answer.json() is read


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "JSONDecodeError"),
        (b"NaN", "ValueError"),
        (b'"\xff"', "UnicodeDecodeError"),
        (b"[" * 100_000, "RecursionError"),
    ],
)
def test_the_error_of_another_body_does_not_quote_it(body: bytes, reason: str) -> None:
    with pytest.raises(ContractError) as caught:
        _answer(body).json()
    problem = f"The response breaks the contract: its body is not JSON ({reason})"
    assert caught.value.message == problem


def test_a_signature_is_attached_to_the_head_of_its_request_alone() -> None:
    assert SIGNATURE.attach(HEAD) == SIGNED_HEAD
    assert SIGNATURE.attach(HEAD.replace(b"b=2", b"b=3")) is None
    assert (SIGNATURE.api_key, SIGNATURE.value) == ("the-key", "the%2Bsignature")
    assert repr(SIGNATURE) == "Signature([hidden])"


def test_a_url_with_another_query_is_a_url() -> None:
    for url in (
        "https://host/path",
        "https://host/path?a=1&b=%2C",
        "http://[::1]:8080/?a=%E5%B8%81",
        "https://host/a%20b?a=2",
    ):
        assert network.url(url) == httpx.URL(url)
        assert repr(network.url(url)) == repr(httpx.URL(url))


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Pieces of a body, which arrive once, or an error."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = list(pieces)

    def __iter__(self) -> Iterator[bytes]:
        while self._pieces:
            piece = self._pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A caller's transport: answers with one thing, and notes the timeouts and its end."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self._answer = answer
        self.timeouts: list[Any] = []
        self.closed = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.timeouts.append(request.extensions["timeout"])
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


def _response(*pieces: bytes | Exception, encoding: str = "") -> httpx.Response:
    headers = {"Content-Encoding": encoding} if encoding else {"X-Name": "value"}
    return httpx.Response(201, headers=headers, stream=Body(*pieces))


def _read() -> httpx.Response:
    response = _response(b"whole")
    response.read()
    return response


@pytest.fixture(params=[ThreadConnection, TaskConnection])
def receive(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """Exchanges a request over a caller's transport, which it does not close."""

    def exchange(response: httpx.Response | Exception) -> Answer:
        async def run() -> Answer:
            transport = Transport(response)
            connection = request.param(transport)
            assert (connection.usable, connection.sent) == (False, True)
            answer: Answer = await connection.exchange(Request("GET", "http://host/", None), 7.0)
            assert connection.usable is (answer.broken is None)
            await connection.close()
            assert transport.timeouts == [dict.fromkeys(("connect", "read", "write", "pool"), 7)]
            assert not transport.closed
            return answer

        return asyncio.run(run())

    return exchange


@pytest.mark.parametrize(
    ("response", "body", "broken"),
    [
        (lambda: _response(b"one", b"two"), b"onetwo", "None"),
        (lambda: _response(b"one", encoding=" Identity "), b"one", "None"),
        (_read, b"whole", "None"),
        (lambda: _response(b"x" * (MAX_BODY - 1), b"x"), b"x" * MAX_BODY, "None"),
        (
            lambda: _response(b"x" * MAX_BODY, b"x"),
            b"x" * MAX_BODY,
            f"ReadError('The response is larger than {MAX_BODY} bytes')",
        ),
        (lambda: _response(b"one", httpx.ReadError("reset")), b"one", "ReadError('reset')"),
        (lambda: _response(OSError("odd")), b"", "ReadError('OSError: odd')"),
        (
            lambda: _response(b"x", encoding="gzip"),
            b"",
            "DecodingError('The response is encoded, although no encoding was requested')",
        ),
    ],
    ids=["pieces", "identity", "read", "largest", "too large", "reset", "foreign", "encoded"],
)
def test_a_body_over_a_transport_of_the_caller(
    receive: Callable[..., Answer],
    response: Callable[[], httpx.Response],
    body: bytes,
    broken: str,
) -> None:
    sent = response()
    answer = receive(sent)
    assert (answer.status_code, answer.headers) == (201, sent.headers)
    assert (answer.content, repr(answer.broken)) == (body, broken)
    assert sent.is_closed


def test_an_error_of_a_transport_of_the_caller(receive: Callable[..., Answer]) -> None:
    with pytest.raises(httpx.ReadError, match=r"^reset$"):
        receive(httpx.ReadError("reset"))
    with pytest.raises(httpx.ConnectError, match=r"^OSError: broken$"):
        receive(OSError("broken"))
    # A mock's complaint is not an error of the network.
    with pytest.raises(AssertionError, match=r"^no such route$"):
        receive(AssertionError("no such route"))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("headers_arrive", [False, True])
def test_an_asynchronous_transport_of_the_caller_has_a_deadline(
    backend: str, headers_arrive: bool
) -> None:
    class Endless(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            if not headers_arrive:
                await anyio.sleep_forever()
            return httpx.Response(418, stream=self)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{}"
            await anyio.sleep_forever()  # for a trailer

    async def exchange() -> Answer:
        connection = TaskConnection(Endless())
        return await connection.exchange(Request("GET", "http://host/", None), 0.05)

    if headers_arrive:
        answer = anyio.run(exchange, backend=backend)
        assert (answer.status_code, answer.content) == (418, b"{}")
        assert isinstance(answer.broken, httpx.ReadTimeout)
    else:
        with pytest.raises(httpx.ReadTimeout):
            anyio.run(exchange, backend=backend)


# Our own connections, over sockets


class Kind(NamedTuple):
    """A kind of connection, and what runs its coroutines."""

    connect: Callable[[], Connection]
    run: Callable[..., Any]


KINDS = {
    "sync": Kind(lambda: threads.connector(None, Hidden(None))(), asyncio.run),
    "async": Kind(lambda: tasks.connector(None, Hidden(None))(), asyncio.run),
    "trio": Kind(
        lambda: tasks.connector(None, Hidden(None))(), lambda task: trio.run(lambda: task)
    ),
    "aiohttp": Kind(lambda: AiohttpTransport().connect(), asyncio.run),
}
Receive: TypeAlias = Callable[..., "Received"]


class Received(NamedTuple):
    """What came of a request."""

    answer: Answer | None
    error: BaseException | None
    sent: bool
    usable: bool


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


async def _exchange(kind: Kind, url: str, timeout: float = 9.0, **options: Any) -> Received:
    """Sends one request over a new connection."""
    connection = kind.connect()
    assert (connection.usable, connection.sent) == (False, False)
    answer, error = None, None
    try:
        request = Request("GET", f"{url}/path?a=1&b=2", SIGNATURE)
        answer = await connection.exchange(request, timeout, **options)
    except Exception as caught:
        error = caught
    result = Received(answer, error, connection.sent, connection.usable)
    await connection.close()
    return result


START = b"HTTP/1.1 200 OK\r\n"
LENGTH = START + b'Content-Length: 7\r\n\r\n{"a":1}'
CHUNKS = START + b'Transfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4;x\r\n":1}\r\n0\r\n\r\n'
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
WHOLE = {
    LENGTH,
    CHUNKS,
    CHUNKS[:-2] + b"X: y\r\n\r\n",  # a trailer
    NO_CONTENT,
    b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH,
}


def _near_the_ends_of_lines(whole: bytes) -> set[int]:
    ends = [0, len(whole), *(found.end() for found in re.finditer(b"\r\n", whole))]
    return {end + step for end in ends for step in (-1, 0, 1)} & {*range(len(whole) + 1)}


@pytest.mark.parametrize(
    ("kind", "end", "everywhere"),
    [
        ("sync", closed, True),
        ("sync", reset, False),
        ("async", closed, False),
        ("async", reset, False),
        ("aiohttp", closed, True),
        ("aiohttp", reset, False),
    ],
    indirect=["kind"],
)
def test_an_answer_that_is_cut_anywhere_is_broken(
    kind: Kind, end: Callable[[bytes], Any], everywhere: bool
) -> None:
    sent = b""
    cuts = {
        whole[:length]
        for whole in WHOLE
        for length in (range(len(whole) + 1) if everywhere else _near_the_ends_of_lines(whole))
    }

    async def taken(url: str) -> set[bytes]:
        nonlocal sent
        taken = set()
        for sent in cuts:
            received = await _exchange(kind, url)
            if received.answer is not None and received.answer.broken is None:
                taken.add(sent)
        return taken

    with serving(lambda _: end(sent)) as server:
        assert kind.run(taken(server.url)) == WHOLE


ENCODED = "The response is encoded, although no encoding was requested"
SURPLUS = "More bytes arrived than the response has"
UNSIZED = "The response does not say how long it is"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (LENGTH * 2, SURPLUS),
        (LENGTH.replace(b"7", b"6"), SURPLUS),
        (CHUNKS + b"x", SURPLUS),
        (NO_CONTENT + b"{}", SURPLUS),
        (NO_CONTENT + LENGTH, SURPLUS),
        (START + b"\r\n{}", UNSIZED),
        (b"HTTP/1.0 400 No\r\n\r\n{}", UNSIZED),
        (CHUNKS.replace(b"Tr", b"Content-Length: 99\r\nTr"), UNSIZED),
        (LENGTH.replace(b"7", b"7\r\nContent-Encoding: gzip"), ENCODED),
        (LENGTH.replace(b"7", b"7\r\nContent-Encoding: br\r\nContent-Encoding: identity"), ENCODED),
        (CHUNKS.replace(b"chunked", b"gzip, chunked"), ENCODED),
        # aiohttp reads these to the end of the connection.
        (CHUNKS.replace(b"chunked", b""), ENCODED),
        (CHUNKS.replace(b"chunked", b"\x0bchunked"), ENCODED),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value[:70]),
)
def test_an_answer_that_cannot_be_relied_on_is_broken(kind: Kind, answer: bytes, why: str) -> None:
    # The connection stays open, because its end would excuse everything.
    with serving(lambda _: stalled(answer) if UNSIZED not in why else closed(answer)) as server:
        received = kind.run(_exchange(kind, server.url))
    assert not received.usable
    if received.answer is None:  # the library did not even understand the headers
        assert isinstance(received.error, httpx.TransportError)
        assert received.sent
    else:
        assert str(received.answer.broken) == why


class NotNow(Exception):
    """What a limit raises."""


@contextmanager
def _shaking_hands(
    context: ssl.SSLContext, before: Callable[[], None]
) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a server that does something before its TLS handshake, and what it received."""
    received: list[bytes] = []

    def serve() -> None:
        plain, _ = listener.accept()
        plain.recv(1, socket.MSG_PEEK)
        before()
        # A client that sends nothing may end the handshake abruptly.
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            received.append(connection.recv(65_536))
            connection.sendall(LENGTH)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}", received
        thread.join()


@pytest.mark.parametrize("error", [None, NotNow("wait")])
def test_the_last_look_is_just_before_the_first_byte(
    kind: Kind, tls_server: ssl.SSLContext, error: Exception | None
) -> None:
    looks: list[str] = []

    def look() -> None:
        looks.append("look")
        if error is not None:
            raise error

    with _shaking_hands(tls_server, lambda: looks.append("handshake")) as (url, server_received):
        received = kind.run(_exchange(kind, url, before_sending=look))
    assert looks == ["handshake", "look"]
    assert received.error is error
    assert received.sent is (error is None)
    assert not received.usable
    if error is None:
        [head] = server_received
        assert head.startswith(SIGNED_HEAD.partition(b"Host")[0])
        assert b"\r\nAccept: */*\r\nAccept-Encoding: identity\r\n" in head
    else:
        assert b"".join(server_received) == b""


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("connection", [ThreadConnection, TaskConnection])
def test_the_last_look_before_a_transport_of_the_caller(connection: Any, signed: bool) -> None:
    def look() -> None:
        raise NotNow

    transport = Transport(_response())
    request = Request("GET", "http://host/", SIGNATURE if signed else None)
    with pytest.raises(NotNow):
        asyncio.run(connection(transport).exchange(request, 7.0, look))
    assert not transport.timeouts, "it was called"


@pytest.mark.parametrize("delay", [5.2, 14.5])
def test_aiohttp_does_not_round_a_timeout_up(delay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[float] = []

    async def exchange(url: str) -> None:
        loop = asyncio.get_running_loop()
        call_at = loop.call_at

        def spy(when: float, *arguments: Any, **options: Any) -> Any:
            timers.append(when - loop.time())
            return call_at(when, *arguments, **options)

        monkeypatch.setattr(loop, "call_at", spy)
        await _exchange(KINDS["aiohttp"], url, delay)

    with serving(LENGTH) as server:
        asyncio.run(exchange(server.url))
    # It also plans to close connections that are idle for an hour.
    assert max(timer for timer in timers if timer < 60) == pytest.approx(delay, abs=0.01)


class Closing:
    """A connection that takes some time to close."""

    usable = False

    def __init__(self) -> None:
        self.begun, self.go_on = anyio.Event(), anyio.Event()
        self.closed = False

    async def close(self) -> None:
        self.begun.set()
        await self.go_on.wait()
        self.closed = True


def test_a_cancelled_task_closes_its_connection_to_the_end() -> None:
    async def scenario() -> bool:
        connection: Any = Closing()
        io = TaskIo(lambda: connection)
        await io.borrow(1.0, fresh=True)
        task = asyncio.create_task(io.give_back(connection))
        await connection.begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        connection.go_on.set()
        await asyncio.gather(task, return_exceptions=True)
        for _ in range(9):  # steps that it may need
            await asyncio.sleep(0)
        return bool(connection.closed)

    assert asyncio.run(scenario())


def test_a_cancelled_trio_task_closes_its_connection_to_the_end() -> None:
    async def scenario() -> bool:
        connection: Any = Closing()
        io = TaskIo(lambda: connection)
        await io.borrow(1.0, fresh=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(io.give_back, connection)
            await connection.begun.wait()
            nursery.cancel_scope.cancel()
            connection.go_on.set()
        return bool(connection.closed)

    assert trio.run(scenario)


def test_a_connection_is_stale_after_5_s(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    idle: Any = IdleConnections()
    assert (idle.take(), idle.take_stale(), idle.take_any()) == (None, None, None)
    idle.put("first")
    now = 105.0
    idle.put("second")
    assert idle.take_stale() is None
    assert (idle.take(), idle.take()) == ("second", "first")
    idle.put("first")
    now = 110.1
    idle.put("second")
    assert (idle.take_stale(), idle.take_stale()) == ("first", None)
    now = 115.2
    assert idle.take() is None
    assert (idle.take_any(), idle.take_any()) == ("second", None)
