"""The parts of the io layer: answers, signatures, bodies, streams, idle connections."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from inspect import isawaitable
from typing import Any

import anyio
import httpcore
import httpx
import pytest
import trio
from binance_small_liability import ContractError
from binance_small_liability._io import http
from binance_small_liability._io.connections import IdleConnections
from binance_small_liability._io.http import MAX_BODY, httpx_request
from binance_small_liability._io.messages import Answer, Request, Signature
from binance_small_liability._io.network import (
    Wire,
    _AsyncBackend,
    _Backend,
    async_transport,
    tls,
    transport,
)
from binance_small_liability._io.tasks import TaskConnection, TaskIo
from binance_small_liability._io.threads import ThreadConnection, ThreadIo, run

SIGNATURE = Signature("the-key", b"a=1&b=2", "the%2Bsignature")
HEAD = b"GET /path?a=1&b=2 HTTP/1.1\r\nHost: x\r\n\r\n"
SIGNED_HEAD = (
    b"GET /path?a=1&b=2&signature=the%2Bsignature HTTP/1.1\r\n"
    b"X-MBX-APIKEY: the-key\r\nHost: x\r\n\r\n"
)
LATER = float(2**40)


def _answer(body: bytes) -> Answer:
    return Answer(200, httpx.Headers(), body)


def test_numbers_are_exact() -> None:
    digits = "9" * 20
    read = _answer(f"[1.10, 7, -0, {digits}, {digits}1]".encode()).json()
    assert [type(number) for number in read] == [Decimal, int, Decimal, int, Decimal]
    assert [str(number) for number in read] == ["1.10", "7", "-0", digits, f"{digits}1"]


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
    problem = f"The answer breaks the contract: its body is not JSON ({reason})"
    assert caught.value.message == problem


def test_a_body_is_decoded_once() -> None:
    answer = _answer(b'{"a": 1}')
    assert answer.json() is answer.json()
    assert (answer.field("a"), answer.field("b")) == (1, None)
    assert _answer(b"[]").field("a") is None
    assert _answer(b"<html>").field("a") is None


def test_a_signature_is_attached_to_the_head_of_its_request_alone() -> None:
    assert SIGNATURE.attach(HEAD) == SIGNED_HEAD
    assert SIGNATURE.attach(HEAD.replace(b"b=2", b"b=3")) is None
    assert (SIGNATURE.api_key, SIGNATURE.value) == ("the-key", "the%2Bsignature")
    assert repr(SIGNATURE) == "Signature([hidden])"


def test_only_a_transport_of_the_caller_gets_key_and_signature() -> None:
    request = Request("POST", "https://host/path?a=1&b=2", SIGNATURE)
    ours = httpx_request(request, 7.0, signed=False)
    assert (ours.method, str(ours.url)) == ("POST", request.url)
    assert ours.headers["Accept"] == "*/*"
    assert ours.headers["Accept-Encoding"] == "identity"
    assert "X-MBX-APIKEY" not in ours.headers
    assert ours.extensions["timeout"] == {"connect": 7, "read": 7, "write": 7, "pool": 7}
    theirs = httpx_request(request, 7.0, signed=True)
    assert str(theirs.url) == f"{request.url}&signature=the%2Bsignature"
    assert theirs.headers["X-MBX-APIKEY"] == "the-key"
    public = httpx_request(Request("GET", "https://host/path", None), 7.0, signed=True)
    assert "X-MBX-APIKEY" not in public.headers


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Pieces of a body, which arrive once, and then an error, if any."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        while self._pieces:
            yield self._pieces.pop(0)
        if self._error:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


Receive = Callable[[httpx.Response, float], Answer]


@pytest.fixture(
    params=[(kind, wire) for kind in (ThreadConnection, TaskConnection) for wire in (Wire(), None)],
    ids=lambda param: f"{param[0].__name__}{'' if param[1] else ' of a caller'}",
)
def read(request: pytest.FixtureRequest) -> Receive:
    """Receives a body as a connection does."""
    kind, wire = request.param
    connection = kind(Transport(OSError()), wire)

    def receive(response: httpx.Response, deadline: float) -> Answer:
        answer: Answer = asyncio.run(connection._receive(response, deadline))
        return answer

    return receive


def _response(*pieces: bytes, encoding: str = "", error: Exception | None = None) -> Any:
    headers = {"Content-Encoding": encoding} if encoding else {"X-Name": "value"}
    return httpx.Response(201, headers=headers, stream=Body(*pieces, error=error))


@pytest.mark.parametrize("encoding", ["", " Identity "])
def test_a_body_is_received_whole_and_closed(read: Receive, encoding: str) -> None:
    response = _response(b"one", b"two", encoding=encoding)
    answer = read(response, LATER)
    assert (answer.status_code, answer.content, answer.broken) == (201, b"onetwo", None)
    assert answer.headers is response.headers
    assert response.is_closed


def test_a_body_that_was_read_already_is_taken(read: Receive) -> None:
    response = _response(b"whole")
    response.read()
    assert read(response, LATER).content == b"whole"


def test_what_arrived_before_an_error_is_kept(read: Receive) -> None:
    error = httpx.ReadError("reset")
    response = _response(b"one", error=error)
    answer = read(response, LATER)
    assert (answer.content, answer.broken) == (b"one", error)
    assert response.is_closed


@pytest.mark.parametrize(
    ("response", "deadline", "kind", "message"),
    [
        (
            lambda: _response(b"x", encoding="gzip"),
            LATER,
            httpx.DecodingError,
            "The answer is encoded, although no encoding was asked for",
        ),
        (
            lambda: _response(b"x"),
            0.0,
            httpx.ReadTimeout,
            "The answer did not arrive whole in time",
        ),
        (
            lambda: _response(b"x" * MAX_BODY, b"x"),
            LATER,
            httpx.ReadError,
            f"The answer is larger than {MAX_BODY} bytes",
        ),
    ],
    # LATER differs in each process, and xdist needs the same names in all of them.
    ids=["encoded", "late", "large"],
)
def test_a_body_has_bounds(
    read: Receive,
    response: Callable[[], httpx.Response],
    deadline: float,
    kind: type[httpx.HTTPError],
    message: str,
) -> None:
    broken = read(response(), deadline).broken
    assert type(broken) is kind
    assert str(broken) == message


def test_a_body_may_be_as_large_as_the_bound(read: Receive) -> None:
    answer = read(_response(b"x" * (MAX_BODY - 1), b"x"), LATER)
    assert (len(answer.content), answer.broken) == (MAX_BODY, None)


def test_the_head_of_a_request_is_signed_as_it_leaves() -> None:
    wire = Wire()
    wire.begin(SIGNATURE, LATER)
    assert not wire.sent
    connect = b"CONNECT host:443 HTTP/1.1\r\n\r\n"
    assert wire.outgoing(connect) == connect
    assert not wire.sent, "a proxy has received something, but not the request"
    assert wire.outgoing(HEAD) == SIGNED_HEAD
    assert wire.sent
    assert wire.outgoing(HEAD) == HEAD, "it is signed once"
    wire.begin(None, LATER)
    assert not wire.sent
    assert wire.outgoing(b"GET / HTTP/1.1\r\n\r\n") == b"GET / HTTP/1.1\r\n\r\n"
    assert wire.sent


def test_a_request_that_failed_without_our_streams_may_have_left() -> None:
    wire = Wire()
    wire.begin(None, LATER)
    wire.failed()
    assert wire.sent
    wire.begin(None, LATER)
    wire.left(httpcore.ConnectTimeout)
    wire.failed()
    assert not wire.sent
    wire.outgoing(b"GET")
    wire.failed()
    assert wire.sent


def test_the_streams_have_the_time_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    wire = Wire()
    wire.begin(None, 107.0)
    assert wire.left(httpcore.ReadTimeout) == 7
    now = 106.5
    assert wire.left(httpcore.ReadTimeout) == 0.5
    now = 107.0
    with pytest.raises(httpcore.ReadTimeout, match=r"^The attempt took longer than its time-out$"):
        wire.left(httpcore.ReadTimeout)


class Inner(httpcore.NetworkStream):
    """Notes how it is used."""

    def __init__(self, notes: list[Any]) -> None:
        self.notes = notes

    def read(self, *arguments: Any) -> bytes:
        self.notes.append(arguments)
        return b"read"

    def write(self, *arguments: Any) -> None:
        self.notes.append(arguments)

    def start_tls(self, *arguments: Any) -> "Inner":
        self.notes.append(arguments)
        return self

    def connect_tcp(self, *arguments: Any, **options: Any) -> "Inner":
        self.notes.append((*arguments, options))
        return self

    def get_extra_info(self, info: str) -> Any:
        return info

    def close(self) -> None:
        self.notes.append("closed")


class AsyncInner(httpcore.AsyncNetworkStream):
    """The same for asynchronous streams."""

    def __init__(self, notes: list[Any]) -> None:
        self._inner = Inner(notes)

    async def read(self, *arguments: Any) -> bytes:
        return self._inner.read(*arguments)

    async def write(self, *arguments: Any) -> None:
        self._inner.write(*arguments)

    async def start_tls(self, *arguments: Any) -> "AsyncInner":
        self._inner.start_tls(*arguments)
        return self

    async def connect_tcp(self, *arguments: Any, **options: Any) -> "AsyncInner":
        self._inner.connect_tcp(*arguments, **options)
        return self

    def get_extra_info(self, info: str) -> Any:
        return info

    async def aclose(self) -> None:
        self._inner.close()


async def _get(result: Any) -> Any:
    return await result if isawaitable(result) else result


async def _use(backend: Any, wire: Wire) -> None:
    wire.begin(SIGNATURE, 107.0)
    stream = await _get(backend.connect_tcp("127.0.0.1", 443, None, "local", socket_options=[]))
    stream = await _get(stream.start_tls("context", "host"))
    await _get(stream.write(HEAD))
    assert await _get(stream.read(10)) == b"read"
    assert stream.get_extra_info("socket") == "socket"
    wire.begin(SIGNATURE, 100.0)
    uses: list[tuple[Callable[[], Any], type[Exception]]] = [
        (lambda: backend.connect_tcp("127.0.0.1", 443), httpcore.ConnectTimeout),
        (lambda: stream.start_tls("context"), httpcore.ConnectTimeout),
        (lambda: stream.write(HEAD), httpcore.WriteTimeout),
        (lambda: stream.read(10), httpcore.ReadTimeout),
    ]
    for use, timed_out in uses:
        with pytest.raises(timed_out):
            await _get(use())
    await _get(stream.aclose() if hasattr(stream, "aclose") else stream.close())


@pytest.mark.parametrize(("backend", "inner"), [(_Backend, Inner), (_AsyncBackend, AsyncInner)])
def test_all_that_the_streams_do_has_the_time_that_is_left(
    backend: Any, inner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    notes: list[Any] = []
    wire = Wire()
    call = _use(backend(inner(notes), wire), wire)
    with pytest.raises(StopIteration):  # nothing in it suspends
        call.send(None)
    assert notes == [
        ("127.0.0.1", 443, 7.0, "local", {"socket_options": []}),
        ("context", "host", 7.0),
        (SIGNED_HEAD, 7.0),
        (10, 7.0),
        "closed",
    ]


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers with the same thing each time, and notes how it is used."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self._answer = answer
        self.timeouts: list[Any] = []
        self.closed = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.timeouts.append(request.extensions["timeout"]["read"])
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)

    def close(self) -> None:
        self.closed += 1
        raise OSError("broken")

    async def aclose(self) -> None:
        self.close()


@pytest.mark.parametrize("kind", [ThreadConnection, TaskConnection])
def test_a_connection_is_usable_until_a_request_fails(kind: Any) -> None:
    async def exchange(answer: Any) -> Any:
        transport = Transport(answer)
        connection = kind(transport, Wire())
        assert connection.usable is False
        assert connection.sent is False
        try:
            await connection.exchange(Request("GET", "http://host/", None), 7.0)
        except httpx.ReadError:
            assert connection.usable is False
        assert transport.timeouts == [7.0]
        return connection.usable

    assert asyncio.run(exchange(_response(b"whole"))) is True
    assert asyncio.run(exchange(_response(b"part", error=httpx.ReadError("reset")))) is False
    assert asyncio.run(exchange(httpx.ReadError("reset"))) is False


@pytest.mark.parametrize("kind", [ThreadConnection, TaskConnection])
def test_only_a_transport_of_ours_is_closed(kind: Any) -> None:
    ours, theirs = Transport(OSError()), Transport(OSError())
    asyncio.run(kind(ours, Wire()).close())
    asyncio.run(kind(theirs, None).close())
    assert (ours.closed, theirs.closed) == (1, 0)


class Addresses:
    """A backend for hosts with three addresses, of which some accept a connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *accepting: str, takes: float = 0) -> None:
        self.now = 100.0
        found = [(2, 1, 6, "", (address, 0)) for address in ("a", "b", "a", "c")]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_: found)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.tried: list[tuple[str, float]] = []
        self._accepting = accepting
        self._takes = takes

    def connect_tcp(self, host: str, port: int, timeout: float) -> Inner:
        assert port == 443
        self.tried.append((host, timeout))
        self.now += self._takes
        if host in self._accepting:
            return Inner([])
        raise httpcore.ConnectError(f"{host} refuses")

    def connect(self) -> Any:
        wire = Wire()
        wire.begin(None, 106.0)
        backend: Any = self
        return _Backend(backend, wire).connect_tcp("host", 443)


def test_each_address_has_its_share_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Addresses(monkeypatch, "c")
    assert host.connect()
    assert host.tried == [("a", 2.0), ("b", 3.0), ("c", 6.0)]
    host = Addresses(monkeypatch, "b")
    assert host.connect()
    assert [address for address, _ in host.tried] == ["a", "b"]


def test_the_last_address_decides_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(httpcore.ConnectError, match="c refuses"):
        Addresses(monkeypatch).connect()
    host = Addresses(monkeypatch, "c", takes=3.0)
    with pytest.raises(httpcore.ConnectTimeout):
        host.connect()
    assert host.tried == [("a", 2.0), ("b", 1.5)]


@pytest.mark.parametrize("open_transport", [transport, async_transport])
def test_all_transports_trust_the_same_authorities(open_transport: Any) -> None:
    assert open_transport(Wire(), None)._pool._ssl_context is tls()


def test_the_connections_of_a_parent_stay_open_in_a_child() -> None:
    connections = weakref.WeakSet[Any]()

    def connect() -> Any:
        made = ThreadConnection(Transport(OSError()), Wire())
        made.usable = True
        connections.add(made)
        return made

    io = ThreadIo(connect)
    run(io.give_back(run(io.borrow(1.0, fresh=False))))
    io.renew()
    assert run(io.borrow(1.0, fresh=False)) in connections
    gc.collect()
    [kept] = connections
    assert kept, "the parent's connection was forgotten and so closed"


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


def test_a_body_may_arrive_until_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    body = http.Body(100.0)
    body.add(b"x")
    now = 100.1
    with pytest.raises(httpx.ReadTimeout):
        body.add(b"y")


def test_a_connection_is_stale_after_5_s(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    idle: IdleConnections[str] = IdleConnections()
    assert (idle.take(), idle.take_stale(), idle.take_any()) == (None, None, None)
    idle.put("first")
    now = 105.0
    idle.put("second")
    assert idle.take_stale() is None
    assert (idle.take(), idle.take()) == ("second", "first")
    idle.put("first")
    now = 109.0
    idle.put("second")
    now = 110.1
    assert (idle.take_stale(), idle.take_stale()) == ("first", None)
    now = 115.0
    assert idle.take() is None
    assert (idle.take_any(), idle.take_any()) == ("second", None)
