"""How clients reach the fake, which requests it records, and how it ends."""

import asyncio
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import httpx
import pytest
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    AuthenticationError,
    NetworkError,
    SmallLiabilityClient,
)
from binance_small_liability._config import VARIABLES
from binance_small_liability.testing import FakeBinance

from tests.conftest import ETH
from tests.fake.conftest import both_ways
from tests.fake.sending import Sender, used
from tests.processes import ended, python
from tests.wire import response, serving
from tools.contract import LIST_PATH, TIME_PATH
from tools.operations import EXCHANGE, LIST_COINS


@both_ways
def test_received_requests_contain_no_secrets(sender: Sender) -> None:
    sender.send("recvWindow=%35000&timestamp={now}")
    sender.send("timestamp={now}&k=" + sender.fake.api_key, tail="&Signature={signature}")
    sender.send(path="/" + sender.fake.api_key)
    [first, second, third] = sender.fake.requests
    assert (first.method, first.path, first.status) == ("GET", LIST_PATH, 200)
    assert [name for name, _ in first.query] == ["recvWindow", "timestamp", "signature"]
    assert first.query[0][1] == "%35000"
    assert dict(first.headers)["x-mbx-apikey"] == "[hidden]"
    assert second.status == 400
    assert (third.path, third.status) == ("/[hidden]", 404)
    shown = repr((sender.fake, sender.fake.requests))
    assert sender.fake.api_key not in shown
    assert str(sender.fake.api_secret) not in shown
    for received in sender.fake.requests:
        assert all(value == "[hidden]" for name, value in received.query if "ignature" in name)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.status = 1  # type: ignore[misc]


def test_a_delayed_request_is_already_recorded() -> None:
    fake = FakeBinance()
    waiting, go_on = threading.Event(), threading.Event()

    def wait(seconds: float) -> None:
        assert seconds == 7
        waiting.set()
        go_on.wait()

    fake.delay_next(7, operation="server_time")
    request = httpx.Request("GET", f"http://fake{TIME_PATH}")
    thread = threading.Thread(target=fake.handle, args=(request, wait))
    thread.start()
    waiting.wait()
    assert [each.status for each in fake.requests] == [None]
    go_on.set()
    thread.join()
    assert [each.status for each in fake.requests] == [200]


def test_many_threads_and_tasks_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # The clock stops, so that everything happens within one minute.
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_040 * 1_000_000_000)
    fake = FakeBinance()
    fake.weight_limit = sys.maxsize
    limits = LIST_COINS.generated
    budget = (limits.weight_per_minute or 0) // limits.weight
    share = max(budget // 2 // 8, 1)  # of each thread
    calls = max(budget - 8 * share - 7, 1)
    fake.fail_next(503, times=7)
    outcomes: list[int] = []
    weights: list[float | None] = []

    def send(http_client: httpx.Client) -> None:
        for _ in range(share):
            answer = Sender(fake, http_client).send()
            outcomes.append(answer.status_code)
            weights.append(used(answer))

    async def gather() -> None:
        async with AsyncSmallLiabilityClient(
            **fake.credentials, transport=fake.transport()
        ) as client:
            await asyncio.gather(*[client.list_coins() for _ in range(calls)])

    with (
        fake.serve() as url,
        httpx.Client(base_url=url, trust_env=False) as http_client,
        ThreadPoolExecutor(8) as threads,
    ):
        list(threads.map(lambda _: send(http_client), range(8)))
    asyncio.run(gather())
    assert sorted(set(outcomes)) == [200, 503]
    assert outcomes.count(503) == 7
    assert len(weights) == 8 * share
    assert set(weights) == set(range(1, 8 * share + 1))
    assert len(fake.requests) == 8 * share + calls
    with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
        assert used(Sender(fake, http_client).send()) == 8 * share + calls + 1


def test_one_of_many_concurrent_exchanges_takes_effect() -> None:
    fake = FakeBinance()
    with fake.serve() as url, httpx.Client(base_url=url, trust_env=False) as http_client:
        sender = Sender(fake, http_client)
        with ThreadPoolExecutor(20) as threads:
            statuses = threads.map(lambda _: sender.exchange("ETH").status_code, range(20))
    assert sorted(statuses) == [200] + [400] * 19
    assert len(fake.exchanges) == 1


def test_the_fixture_replaces_the_whole_environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES.values():
        monkeypatch.setenv(name, "/nowhere")
    fake = request.getfixturevalue("fake_binance")
    request.getfixturevalue("fake_binance_env")
    with SmallLiabilityClient.from_env() as client:
        assert client.list_coins() == fake.coins


def test_a_chosen_port_and_an_end() -> None:
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


# Bounds


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"x" * 65_536, 200),
        ({}, b"x" * 65_537, 413),
        ({"Content-Length": "600000000"}, b"x" * 100_000, 413),
        ({"Content-Length": "9" * 5_000}, b"", 400),
        ({"X": "x" * 65_000}, b"", 200),
        ({f"X-{number}": "x" * 10_000 for number in range(7)}, b"", 431),
        ({"Content-Length": "x"}, b"", 400),
    ],
)
def test_a_served_fake_keeps_no_large_request(
    headers: dict[str, str], body: bytes, status: int
) -> None:
    fake = FakeBinance()
    head = {"Content-Length": str(len(body)), **headers}
    lines = [f"GET {TIME_PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    with (
        fake.serve() as url,
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection,
    ):
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65_536).startswith(f"HTTP/1.1 {status} ".encode())
    assert len(fake.requests) == (status == 200)


def test_only_the_last_requests_are_kept() -> None:
    fake = FakeBinance()
    fake.handle(httpx.Request("GET", "http://fake/first"))
    fake.requests *= 10_000
    fake.handle(httpx.Request("GET", "http://fake/last"))
    assert len(fake.requests) == 10_000
    assert [fake.requests[0].path, fake.requests[-1].path] == ["/first", "/last"]


def test_a_served_fake_ends_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binance_small_liability.testing._servers._Handler.timeout", 0.05)
    with (
        FakeBinance().serve() as url,
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection,
    ):
        connection.settimeout(20)
        assert connection.recv(1) == b""


# The end of the process

# Each piece of code runs in a fork of its own, because importing the package takes long.
FORKS = """
import contextlib, os, sys, threading, urllib.request, warnings
from binance_small_liability.testing import FakeBinance

def ask(url):
    print(urllib.request.urlopen(url + "/api/v3/time").status, flush=True)

for code in sys.argv[1:]:
    if os.fork() == 0:
        break
    print("exit code", os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
else:
    sys.exit()
exec(code)
"""
NEVER_LEFT = {
    "a server that nothing refers to": "ask(FakeBinance().serve().__enter__())",
    "a suspended generator": """
def serving():
    with FakeBinance().serve() as url:
        yield url

suspended = serving()
ask(next(suspended))
""",
    "sys.exit": """
stack = contextlib.ExitStack()
ask(stack.enter_context(FakeBinance().serve()))
sys.exit()
""",
    "a fork": """
warnings.simplefilter("ignore")  # Python 3.12 warns of forks
with FakeBinance().serve() as url:
    ask(url)
    if os.fork() == 0:
        sys.exit()
    assert os.wait()[1] == 0
    ask(url)
    print("the parent still serves", flush=True)
""",
    "a delayed answer": """
fake = FakeBinance()
fake.delay_next(3600, operation="server_time")
url = fake.serve().__enter__()
threading.excepthook = lambda _: None  # the thread may still see that its connection ends
threading.Thread(target=ask, args=(url,), daemon=True).start()
while not fake.requests: pass
ask(url)
""",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_the_process_ends_although_a_server_was_never_stopped() -> None:
    done = ended(sys.executable, "-W", "error", "-c", FORKS, *NEVER_LEFT.values())
    assert (done.returncode, done.stderr) == (0, "")
    for name, printed in zip(NEVER_LEFT, done.stdout.split("exit code 0\n"), strict=False):
        forked = name == "a fork"
        assert printed == ("200\n200\nthe parent still serves\n" if forked else "200\n"), name


# An upstream


def test_the_upstream_answers_requests_that_pass_the_checks() -> None:
    with serving(response(headers={str(LIST_COINS.generated.weight_header): "7"})) as upstream:
        fake = FakeBinance(upstream=upstream.url)
        once: dict[str, Any] = {"transport": fake.transport(), "max_attempts": 1}
        with SmallLiabilityClient(**fake.credentials, **once) as client:
            assert client.list_coins() == [ETH]
            client.list_coins()
            assert client.used_weight == 2 * LIST_COINS.generated.weight
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


def test_an_exchange_takes_effect_in_front_of_an_upstream() -> None:
    headers = {str(EXCHANGE.generated.weight_header): "7"}
    with serving(response(b"[{}]", headers=headers)) as upstream:
        fake = FakeBinance(upstream=upstream.url)
        fake.fail_next(503)
        fake.drop_next(after_effect=True, operation="exchange")
        fake.hours_between_exchanges = 0
        with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
            sender = Sender(fake, http_client)
            assert sender.exchange("ETH").status_code == 503
            assert sender.exchange("UNKNOWN").status_code == 400
            assert fake.exchanges == []
            with pytest.raises(httpx.RemoteProtocolError):
                sender.exchange("ETH")
            assert [each.asset for each in fake.exchanges] == ["ETH"]
            assert upstream.requests == []
            fake.coins = [ETH]
            done = sender.exchange("ETH")
            assert (done.status_code, done.content) == (200, b"[{}]")
            assert used(done, EXCHANGE) == 4
            assert len(fake.exchanges) == 2
            # The fake itself answers requests for the time.
            assert sender.time().json()["serverTime"] >= fake.now - 5000
        [forwarded] = upstream.requests
        assert (forwarded.method, forwarded.path) == ("POST", LIST_PATH)
        assert forwarded.query[0] == ("assetNames", "ETH")


def test_the_fixtures(
    fake_binance: FakeBinance, fake_binance_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmallLiabilityClient(**fake_binance.credentials, base_url=fake_binance_url) as client:
        assert client.list_coins() == fake_binance.coins
        monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it really waited"))
        fake_binance.fail_next(429, retry_after=50)
        assert client.list_coins() == fake_binance.coins


def test_the_plugin_imports_the_package_only_when_it_is_used() -> None:
    code = """
import sys, unittest.mock
sys.modules["pytest"] = unittest.mock.MagicMock()  # importing it takes long
import pytest_binance_small_liability
print(*sys.modules)
"""
    assert {"httpx", "attrs", "binance_small_liability"}.isdisjoint(python(code).split())
