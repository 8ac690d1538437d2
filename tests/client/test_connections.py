"""Each connection is lent to one call at a time: stale connections, forks, event loops."""

import asyncio
import base64
import pickle
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import httpx
import pytest
from binance_small_liability import (
    ApiError,
    AsyncSmallLiabilityClient,
    ConfigurationError,
    NetworkError,
    RequestTimeout,
    SmallLiabilityClient,
    SmallLiabilityError,
    operations,
)
from binance_small_liability._io import messages
from binance_small_liability._io.tasks import TaskIo
from binance_small_liability._io.threads import ThreadIo, run
from binance_small_liability.aiohttp import AiohttpTransport

from tests.clients import CREDENTIALS, RunClient, finished, in_turn, run_scenario, run_sync
from tests.processes import Result, forking, python
from tests.wire import (
    DOCUMENTED,
    Answer,
    Request,
    WireServer,
    named_after_its_question,
    reset,
    response,
    serving,
    stalled,
)
from tools.contract import LIST_PATH


@pytest.mark.usefixtures("no_waiting")
def test_a_retry_uses_a_fresh_connection(client: RunClient) -> None:
    seen: set[int] = set()
    dropped: set[int] = set()

    def answer(request: Request) -> Answer:
        seen.add(request.connection)
        return stalled() if request.connection in dropped else response()

    async def calls(client: Any) -> None:
        if isinstance(client, SmallLiabilityClient):
            with ThreadPoolExecutor(10) as threads:
                list(threads.map(lambda _: client.list_coins(), range(50)))
        else:
            await asyncio.gather(*(client.list_coins() for _ in range(10)))
        dropped.update(seen)  # silently, as a network may
        wire.requests.clear()
        assert await finished(client.list_coins())
        assert len(wire.requests) == 2

    with serving(answer) as wire:
        run_scenario(client, calls, base_url=wire.url, timeout=0.5)


def test_only_a_read_uses_a_connection_again_that_was_idle_for_less_than_5_s(
    client: RunClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed)

    def after(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    call = in_turn(
        lambda client: client.list_coins(),
        lambda _: after(4),
        lambda client: client.list_coins(),
        lambda _: after(6),
        lambda client: client.list_coins(),
        lambda client: client.exchange(["ETH"]),
    )
    with serving(response()) as server:
        client(call, base_url=server.url)
    first, second, third, exchange = (request.connection for request in server.requests)
    assert first == second
    assert len({second, third, exchange}) == 3


def test_other_options_of_single_calls_share_the_connections(client: RunClient) -> None:
    def impatient(opened: Any) -> Any:
        twin = opened.with_options(timeout=0.1, max_attempts=1)
        return twin.call(operations.list_coins)

    answers = iter([response(), stalled()])
    call = in_turn(lambda c: c.list_coins(), impatient, lambda c: c.list_coins())
    with serving(lambda _: next(answers, response())) as server:
        [_, error, coins] = client(call, base_url=server.url)
    assert (type(error), error.attempts, len(coins)) == (RequestTimeout, 1, 1)
    first, second, third = (request.connection for request in server.requests)
    assert first == second != third


# What arrives in addition to the answer of the first question, and whether over TLS. Corked, what
# arrives at once leaves in one segment; over TLS it has two records.
_ANOTHER = response(DOCUMENTED.replace(b"ETH", b"WRONG"))


@pytest.mark.parametrize(
    ("when", "surplus", "tls"),
    [
        ("at once", _ANOTHER, False),
        ("at once", _ANOTHER, True),
        ("after no content", _ANOTHER, False),
        ("while idle", _ANOTHER, False),
        ("while idle", _ANOTHER, True),
        ("while idle", b"", False),  # the end of the connection
        ("while idle", b"", True),
    ],
)
def test_what_follows_an_answer_reaches_no_other_call(
    client: RunClient, when: str, surplus: bytes, tls: bool, request: pytest.FixtureRequest
) -> None:
    idle, arrived = threading.Event(), threading.Event()

    def answer(request: Request) -> Answer:
        own = named_after_its_question(request)
        if len(server.requests) > 1:
            return own

        def act(connection: socket.socket) -> None:
            _cork(connection, when != "while idle")
            no_content = b"HTTP/1.1 204 No Content\r\n\r\n"
            connection.sendall(no_content if when == "after no content" else own)
            if when == "while idle":
                idle.wait()
            connection.sendall(surplus)
            _cork(connection, False)
            if not surplus:
                connection.shutdown(socket.SHUT_WR)
            arrived.set()
            connection.recv(1)

        return act

    def is_idle(_: Any) -> None:
        idle.set()
        arrived.wait()

    call = in_turn(
        lambda c: c.list_coins(recv_window=1), is_idle, lambda c: c.list_coins(recv_window=2)
    )
    with serving(answer, request.getfixturevalue("tls_server") if tls else None) as server:
        *_, [coin] = client(call, base_url=server.url, max_attempts=1)
    assert coin.asset == "N2"
    first, second = server.requests
    assert first.connection != second.connection


def _cork(connection: socket.socket, on: bool) -> None:
    if hasattr(socket, "TCP_CORK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


# Scripts that need a process of their own.


Script: TypeAlias = Callable[[str], Result]
TRANSPORTS = ["None", "AiohttpTransport()"]


@pytest.fixture(scope="module")
def forks() -> Iterator[Script]:
    with forking() as run:
        yield run


@pytest.fixture
def script(server: WireServer, forks: Script) -> Script:
    """Runs a script with the options of a client of `server`."""
    options = {"base_url": server.url, "api_key": "k" * 64, "api_secret": "s" * 64}
    return lambda text: forks(f"options = {options}\n{text}")


@pytest.mark.parametrize("transport", ["sync", *TRANSPORTS])
def test_forked_children_get_their_own_answers(
    script: Script, server: WireServer, transport: str
) -> None:
    done = script(f"""
import ctypes
if {transport!r} == "sync":
    call = SmallLiabilityClient(**options).list_coins
else:
    client = AsyncSmallLiabilityClient(**options, transport={transport.replace("sync", "None")})
    loop = asyncio.new_event_loop()
    call = lambda **arguments: loop.run_until_complete(client.list_coins(**arguments))
call()
children = []
for child in range(1, 5):
    pid = ctypes.PyDLL(None).fork()  # as uWSGI forks: no hook of Python runs
    if not pid:
        for number in range(1, 6):
            window = child * 100 + number
            [coin] = call(recv_window=window)
            if coin.asset != f"N{{window}}":
                os._exit(1)
        os._exit(0)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
call()
os._exit(any(codes))
""")
    assert done == (0, "", "")
    first, *of_children, last = server.requests
    assert first.connection == last.connection, "the parent lost its connection"
    assert len(of_children) == 20
    connections = {request.connection for request in of_children}
    assert len(connections) == 4
    assert first.connection not in connections


@pytest.mark.parametrize(
    ("transport", "runners"),
    [("None", "run_asyncio, run_trio"), ("AiohttpTransport()", "run_asyncio, run_asyncio")],
)
def test_an_event_loop_that_ended_leaves_nothing_open(
    script: Script, server: WireServer, transport: str, runners: str
) -> None:
    done = script(f"""
import trio, warnings
warnings.simplefilter("error")

def run_asyncio(function, *arguments):
    return asyncio.run(function(*arguments))

def run_trio(function, *arguments):
    return trio.run(function, *arguments)

async def call(window):
    [coin] = await client.list_coins(recv_window=window)
    assert coin.asset == f"N{{window}}"

client = AsyncSmallLiabilityClient(**options, transport={transport})
counts = []
for window in range(1, 11):
    for run in ({runners}):
        run(call, window)
    counts.append(len(os.listdir("/dev/fd")))
assert counts[0] == counts[-1], counts
run(client.close)
""")
    assert done == (0, "", "")
    assert len({request.connection for request in server.requests}) == 20


@pytest.mark.parametrize(
    "code",
    [
        """
def using():
    with SmallLiabilityClient(**options) as client:
        yield client.list_coins()
held = using()
next(held)
""",
        """
class Service:
    def __init__(self):
        self.client = SmallLiabilityClient(**options)
        self.client.list_coins()
    def __del__(self):
        self.client.close()
service = Service()
""",
        """
async def using():
    async with AsyncSmallLiabilityClient(**options) as client:
        yield await client.list_coins()
held, loop = using(), asyncio.new_event_loop()
loop.run_until_complete(anext(held))
""",
        *(
            f"""
async def using():
    async with AsyncSmallLiabilityClient(**options, transport={transport}) as client:
        yield await client.list_coins()
async def main():
    held.append(using())
    await anext(held[-1])
held = []
for _ in range(20):  # in either order
    asyncio.run(main())
"""
            for transport in TRANSPORTS
        ),
    ],
    ids=["generator", "__del__", "of a loop that stays", "over httpx", "over aiohttp"],
)
def test_a_client_that_is_closed_as_python_ends_is_silent(script: Script, code: str) -> None:
    assert script(code) == (0, "", "")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_async_call_at_exit_raises_a_network_error(script: Script, transport: str) -> None:
    done = script(f"""
import atexit
from binance_small_liability import SmallLiabilityError
# A name, because its resolution needs a thread, which Python no longer starts.
options["base_url"] = options["base_url"].replace("127.0.0.1", "localhost")

async def call():
    async with AsyncSmallLiabilityClient(
        **options, max_attempts=1, transport={transport}
    ) as client:
        try:
            print(await client.list_coins(recv_window=9))
        except SmallLiabilityError as error:
            print(type(error).__name__)

atexit.register(lambda: asyncio.run(call()))
""")
    assert done.code == 0
    assert done.stdout.strip() == "NetworkError" or "N9" in done.stdout
    assert "Traceback" not in done.stderr


def test_without_sniffio_an_async_call_works(server: WireServer) -> None:
    # The tests need trio, which brings sniffio.
    code = """
import asyncio, importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "sniffio":
            searched.append(name)
            raise ModuleNotFoundError(name)

searched = []
sys.meta_path.insert(0, Hidden())
from binance_small_liability import AsyncSmallLiabilityClient
async def call():
    async with AsyncSmallLiabilityClient(
        base_url=sys.argv[1], api_key="k" * 64, api_secret="s" * 64
    ) as client:
        await client.list_coins()
        before = len(searched)
        await client.list_coins()
        assert "sniffio" not in sys.modules  # it may be installed later
        sys.exit(len(searched) - before)
asyncio.run(call())
"""
    python(code, server.url)


@pytest.mark.parametrize("through_a_proxy", [False, True])
@pytest.mark.parametrize("kind", ["httpx", "trio", "aiohttp"])
def test_a_call_cancelled_in_the_tls_handshake_closes_its_socket(
    kind: str, through_a_proxy: bool
) -> None:
    shaking_hands = threading.Event()
    left: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            if through_a_proxy:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.recv(65_536)  # its first message
            shaking_hands.set()
            connection.settimeout(10)
            left.append(connection.recv(65_536))

    async def call() -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.list_coins)
                await anyio.to_thread.run_sync(shaking_hands.wait)
                scope.cancel()
        # Not later, when the garbage is collected or the event loop ends.
        await anyio.to_thread.run_sync(thread.join)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    url = f"127.0.0.1:{listener.getsockname()[1]}"
    proxy = f"http://{url}" if through_a_proxy else None
    options: dict[str, Any] = {"proxy": proxy}
    if kind == "aiohttp":
        options = {"transport": AiohttpTransport(proxy=proxy)}
    client = AsyncSmallLiabilityClient(base_url=f"https://{url}", **options, **CREDENTIALS)
    anyio.run(call, backend="trio" if kind == "trio" else "asyncio")
    listener.close()
    assert left == [b""]


@pytest.mark.parametrize("replies", [[], [b"rubbish"], [b"\5"], [b"\5\0", b"\5\0\0\x63"]], ids=str)
@pytest.mark.parametrize("client", ["sync", "async"], indirect=True)
@pytest.mark.usefixtures("no_waiting")
def test_what_is_no_socks_proxy_is_a_network_error(client: RunClient, replies: list[bytes]) -> None:
    class Proxy(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            attempts.append(self.client_address)
            for reply in replies:
                self.request.recv(65_536)
                self.request.sendall(reply)

    attempts: list[Any] = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        proxy = f"socks5://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(NetworkError):
            client(lambda c: c.list_coins(), base_url="https://api.example", proxy=proxy)
        server.shutdown()
    assert len(attempts) == 3


@pytest.mark.parametrize(
    ("status", "name", "password", "received"),
    [
        (403, "user", "hunter2", b"user:hunter2"),
        (407, "a%3Ab", "c%40d%E2%82%AC", "a:b:c@d€".encode()),
        (503, "", "hunter2", b":hunter2"),
    ],
)
@pytest.mark.parametrize("base_url", ["http://localhost:9", "https://api.example"])
def test_a_proxy_receives_the_password_and_refuses(
    client: RunClient, base_url: str, status: int, name: str, password: str, received: bytes
) -> None:
    with serving(response({}, status)) as server:
        proxy = server.url.replace("//", f"//{name}:{password}@")
        with pytest.raises(SmallLiabilityError) as caught:
            client(lambda c: c.list_coins(), base_url=base_url, proxy=proxy, max_attempts=1)
    if base_url.startswith("https"):
        assert f"ProxyError: {status} Status" in str(caught.value)
    else:
        assert isinstance(caught.value, ApiError)
    [request] = server.requests
    basic = base64.b64encode(received).decode()
    assert request.header("Proxy-Authorization") == f"Basic {basic}"
    assert request.header("Authorization") is None
    shown = repr(vars(caught.value)) + repr(pickle.dumps(caught.value)) + str(caught.value)
    for secret in (password, received.decode(), basic):
        assert secret not in shown


@pytest.mark.usefixtures("no_waiting")
def test_a_tunnel_that_is_reset_before_tls_carried_nothing(client: RunClient) -> None:
    with serving(lambda _: reset(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        with pytest.raises(NetworkError) as caught:
            client(lambda c: c.exchange(["A"]), base_url="https://api.example", proxy=server.url)
        assert caught.value.attempts == len(server.requests) == 3


def test_trio_works_over_httpx_and_is_refused_over_aiohttp(server: WireServer) -> None:
    import trio

    async def call(transport: Any) -> Any:
        async with AsyncSmallLiabilityClient(
            base_url=server.url, transport=transport, **CREDENTIALS
        ) as client:
            return await client.list_coins(recv_window=7)

    [coin] = trio.run(call, None)
    assert coin.asset == "N7"
    with pytest.raises(ConfigurationError, match="needs asyncio"):
        trio.run(call, AiohttpTransport())


def test_a_client_without_an_event_loop_is_refused() -> None:
    coroutine = AsyncSmallLiabilityClient(**CREDENTIALS).list_coins()
    with pytest.raises(ConfigurationError) as caught:
        coroutine.send(None)
    assert str(caught.value) == (
        "AsyncSmallLiabilityClient needs a running event loop; await it in a coroutine"
    )


@pytest.mark.parametrize("alive", [True, False])
def test_all_addresses_of_a_host_share_the_timeout(
    server: WireServer, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    now = 0.0
    timeouts: dict[str, float] = {}
    resolve, create = socket.getaddrinfo, socket.create_connection

    def addresses(host: str, *arguments: Any, **options: Any) -> list[Any]:
        if host != "localhost":
            return resolve(host, *arguments, **options)
        found = ("refusing", "dead", "127.0.0.1")
        return [(socket.AF_INET, kind, 6, "", (each, 0)) for each in found for kind in (1, 2)]

    def connect(address: tuple[str, int], timeout: float, *args: Any, **options: Any) -> Any:
        nonlocal now
        timeouts[address[0]] = timeout
        if address[0] == "refusing":
            raise ConnectionRefusedError
        if address[0] == "dead" or not alive:
            now += timeout
            raise TimeoutError
        return create(address, timeout, *args, **options)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    monkeypatch.setattr(socket, "create_connection", connect)
    with SmallLiabilityClient(
        base_url=server.url.replace("127.0.0.1", "localhost"),
        timeout=12,
        max_attempts=1,
        **CREDENTIALS,
    ) as client:
        if alive:
            assert client.list_coins()
        else:
            with pytest.raises(RequestTimeout):
                client.list_coins()
    # One that refuses leaves its time to the others.
    assert timeouts == {"refusing": 4, "dead": 6, "127.0.0.1": 6}


@pytest.mark.parametrize(("path", "prefix"), [("", ""), ("/", ""), ("/MAX//", "/MAX")])
def test_the_base_url_may_have_a_path(client: RunClient, path: str, prefix: str) -> None:
    with serving(response()) as server:
        client(lambda each: each.list_coins(), base_url=f"{server.url}{path}")
    assert server.requests[0].path == f"{prefix}{LIST_PATH}"


class Lent:
    """A connection that only knows whether it was closed."""

    sent = False

    def __init__(self) -> None:
        self.usable = True
        self.closed = False

    async def exchange(self, *arguments: Any) -> messages.Answer:
        raise AssertionError(f"only lent, yet used for {arguments}")

    async def close(self) -> None:
        self.closed = True


async def _lend(io: Any) -> None:
    first = await io.borrow(0.01, fresh=False)
    second = await io.borrow(0.01, fresh=False)
    assert first is not second
    with pytest.raises(httpx.PoolTimeout, match=r"^No connection became free in time$"):
        await io.borrow(0.01, fresh=False)
    await io.give_back(first)
    await io.give_back(second)
    assert await io.borrow(0.01, fresh=False) is second, "the most recently used one comes first"
    third = await io.borrow(0.01, fresh=True)
    assert third not in (first, second)
    third.usable = False
    await io.give_back(third)
    assert third.closed
    await finished(io.close())
    assert (first.closed, second.closed) == (True, False), "only an idle one can be closed"
    await io.give_back(second)
    assert second.closed
    for _ in range(3):  # each turn is given back
        with pytest.raises(ConfigurationError) as caught:
            await io.borrow(0.01, fresh=False)
    assert str(caught.value) == "The client is closed; make a new one"


async def _close_stale_ones(io: Any) -> None:
    first, second = [await io.borrow(0.01, fresh=False) for _ in range(2)]
    await io.give_back(first)
    now = time.monotonic() + 6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        await io.give_back(second)
    assert (first.closed, second.closed) == (True, False)


async def _fail_to_connect(io: Any) -> None:
    io._connect = lambda: 1 / 0
    for _ in range(3):  # each turn is given back
        with pytest.raises(ZeroDivisionError):
            await io.borrow(0.01, fresh=False)


@pytest.mark.parametrize(("io", "start"), [(ThreadIo, run), (TaskIo, asyncio.run)])
@pytest.mark.parametrize("scenario", [_lend, _close_stale_ones, _fail_to_connect])
def test_two_connections_are_lent(
    io: Any, start: Any, scenario: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("threads", "tasks"):
        monkeypatch.setattr(f"binance_small_liability._io.{module}.MOST_IN_FLIGHT", 2)
    start(scenario(io(Lent)))


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no alarm")
@pytest.mark.parametrize("received", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n["])
def test_an_exception_of_a_signal_handler_passes_through(received: bytes) -> None:
    class OutOfTime(Exception):
        pass

    def on_alarm(*_: Any) -> None:
        raise OutOfTime

    def answer(_: Request) -> Answer:
        def act(connection: socket.socket) -> None:
            connection.sendall(received)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            connection.recv(1)

        return act

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        with serving(answer) as server, pytest.raises(OutOfTime):
            run_sync(lambda client: client.list_coins(), base_url=server.url)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(server.requests) == 1


def test_a_synchronous_call_that_suspends_is_a_bug() -> None:
    async def call() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match=r"^A synchronous call suspended; please report this"):
        run(call())
