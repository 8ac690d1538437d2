"""Usual habits: log everything, cancel, freeze clocks, use many processes."""

import asyncio
import io
import logging
import multiprocessing
import random
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import freezegun
import pytest
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    ConfigurationError,
    ContractError,
    NetworkError,
    RateLimitError,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability.testing import FakeBinance

from tests.conftest import CREDENTIALS, ETH, ListCoins
from tests.wire import Answer, WireServer, closed, reset, response, serving

# Other tests measure coverage: it would double the time of these.
pytestmark = pytest.mark.no_cover

KEY, SECRET = "CanaryKey0123456789", "CanarySecret0123456789"
ENOUGH = 1_000_000  # characters


class _Everything(logging.Handler):
    """Formats every record, and with it the local variables of every frame of an error."""

    def __init__(self) -> None:
        super().__init__(level=1)
        self.text = io.StringIO()

    def emit(self, record: logging.LogRecord) -> None:
        self.text.write(f"{record.getMessage()} {vars(record)!r}\n")
        if record.exc_info and record.exc_info[1]:
            error = traceback.TracebackException.from_exception(
                record.exc_info[1], capture_locals=True
            )
            self.text.write("".join(error.format()))


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Everything]:
    # From the environment, so that the frames of the tests do not contain them.
    monkeypatch.setenv("BINANCE_API_KEY", KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", SECRET)
    handler, root = _Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


_ANSWERS: list[Answer] = [
    response(),
    response({"code": -2015, "msg": "No."}, 401),
    response({"code": -1003, "msg": "Slow."}, 429, {"Retry-After": "1"}),
    response(b"<html>", 502),
    response([{}]),
    reset(),
    closed(b"HTTP/1.1 2OO\r\n\r\n"),
]


@pytest.mark.usefixtures("no_waiting")
def test_a_megabyte_of_logs_holds_no_secret(everything: _Everything) -> None:
    with serving(lambda _: random.choice(_ANSWERS)) as server:
        while everything.text.tell() < ENOUGH:
            _list_and_log(server.url)
        text = everything.text.getvalue()
        for secret in (KEY, SECRET, *_signatures(server)):
            assert secret not in text
    assert text.count("Traceback") > 10


def _list_and_log(url: str) -> None:
    async def call() -> None:
        async with AsyncSmallLiabilityClient.from_env(base_url=url, max_attempts=2) as client:
            await client.list_coins()

    try:
        asyncio.run(call())
        with SmallLiabilityClient.from_env(base_url=url, max_attempts=2) as client:
            client.list_coins()
    except SmallLiabilityError:
        logging.getLogger("service").exception("failed")


def _signatures(server: WireServer) -> set[str]:
    signatures = {dict(request.query)["signature"] for request in server.requests}
    assert signatures
    return signatures


def _list_in_another_process(url: str) -> Any:
    with SmallLiabilityClient(**CREDENTIALS, base_url=url, max_attempts=1) as client:
        return client.list_coins()


def test_coins_and_errors_cross_processes() -> None:
    answers: dict[str, Answer] = {
        "coins": response(),
        "limit": response({"code": -1003, "msg": "Slow."}, 429, {"Retry-After": "7"}),
        "contract": response([{}]),
        "network": reset(),
    }
    # Each answer has its own path, in front of the endpoint's.
    with (
        serving(lambda request: answers[request.path.split("/")[1]]) as server,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes,
    ):
        calls = {
            name: processes.submit(_list_in_another_process, f"{server.url}/{name}")
            for name in answers
        }
        wrong = processes.submit(_list_in_another_process, "http://example.com")
        assert calls["coins"].result() == [ETH]
        with pytest.raises(RateLimitError, match="HTTP 429, code -1003: Slow") as limit:
            calls["limit"].result()
        with pytest.raises(ContractError, match=r"\$\[0\]"):
            calls["contract"].result()
        with pytest.raises(NetworkError, match=r"No usable answer .* \(1 attempt\)"):
            calls["network"].result()
        with pytest.raises(ConfigurationError, match="base_url must use https"):
            wrong.result()
    assert (limit.value.retry_after, limit.value.code, limit.value.attempts) == (7, -1003, 1)


# 400 calls are more than one minute's budget.
@pytest.mark.usefixtures("no_waiting")
def test_a_storm_of_cancellations_leaves_a_client_that_works() -> None:
    steps = random.Random(1)

    async def cancelled(client: AsyncSmallLiabilityClient) -> None:
        task = asyncio.create_task(client.list_coins())
        for _ in range(steps.randrange(30)):
            await asyncio.sleep(0)
        task.cancel()
        # A few end earlier.
        with suppress(asyncio.CancelledError):
            await task

    async def storm(url: str) -> None:
        # 300 calls are more than the allowed number in flight, so a lost one would block.
        async with AsyncSmallLiabilityClient(**CREDENTIALS, base_url=url) as client:
            for _ in range(3):
                await asyncio.gather(*(cancelled(client) for _ in range(100)))
            for coins in await asyncio.gather(*(client.list_coins() for _ in range(100))):
                assert coins == [ETH]

    with serving(response()) as server:
        asyncio.run(storm(server.url))


class TestClocks:
    def test_a_clock_that_jumps_is_corrected_after_each_jump(self) -> None:
        fake = FakeBinance()
        with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
            for jump in (0, 3_600_000, -86_400_000, 0):
                fake.clock_skew = jump
                assert client.list_coins() == fake.coins
        paths = [request.path for request in fake.requests]
        assert paths.count("/api/v3/time") == 3

    @pytest.mark.usefixtures("no_waiting")
    def test_frozen_time(self, list_coins: ListCoins) -> None:
        answers = iter([response({}, 503), response({}, 503), response()])
        frozen_at = datetime(2026, 1, 1, tzinfo=UTC)
        with (
            serving(lambda _: next(answers)) as server,
            # Event loops need the time.
            freezegun.freeze_time(frozen_at, real_asyncio=True),
        ):
            assert list_coins(base_url=server.url, max_retry_wait=0) == [ETH]
        times = [int(dict(request.query)["timestamp"]) for request in server.requests]
        # Each timestamp differs, because Binance could reject a retry as a replay.
        first = round(frozen_at.timestamp() * 1000)
        assert times == [first, first + 1, first + 2]

    def test_time_that_is_moved_forward(self) -> None:
        fake = FakeBinance()
        with (
            freezegun.freeze_time("2026-01-01") as clock,
            SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client,
        ):
            assert client.list_coins() == fake.coins
            clock.tick(timedelta(days=400))
            assert client.list_coins() == fake.coins
        assert len(fake.requests) == 2


def _python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_docstrings_and_assertions() -> None:
    code = (
        "from binance_small_liability import SmallLiabilityClient\n"
        "from binance_small_liability.testing import FakeBinance\n"
        "assert False\n"
        "fake = FakeBinance()\n"
        "client = SmallLiabilityClient(**fake.credentials, transport=fake.transport())\n"
        "with client: print(client.list_coins() == fake.coins)"
    )
    assert _python("-OO", "-c", code) == "True\n"
    assert "history" in _python("-OO", "-m", "binance_small_liability", "--help")


_SERVICE = """
from binance_small_liability import SmallLiabilityClient

def test_one(fake_binance):
    with SmallLiabilityClient(
        **fake_binance.credentials, transport=fake_binance.transport()
    ) as client:
        assert client.list_coins() == fake_binance.coins

def test_two(fake_binance, fake_binance_url):
    with SmallLiabilityClient(**fake_binance.credentials, base_url=fake_binance_url) as client:
        assert client.list_coins() == fake_binance.coins
"""


def test_the_fixtures_in_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_service.py").write_text(_SERVICE)
    # Loading the other installed plugins would take longer than the tests.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = ("-p", "xdist", "-p", "pytest_binance_small_liability", "-p", "no:cacheprovider")
    options = ("-n", "2", "--import-mode=importlib", "-W", "error", "--rootdir", str(tmp_path))
    assert "2 passed" in _python("-m", "pytest", "-q", *plugins, *options, str(tmp_path))
