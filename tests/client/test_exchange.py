"""An exchange is sent once, leaves a receipt, and can be confirmed by anyone who has it."""

import asyncio
import gc
import itertools
import json
import logging
import pickle
import signal
import socket
import socketserver
import ssl
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import httpx
import pytest
from binance_small_liability import (
    AuthenticationError,
    ConfigurationError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    Receipt,
    RequestTimeout,
    ServerError,
    SmallLiabilityClient,
    SmallLiabilityError,
    operations,
)
from binance_small_liability._io import real_time
from binance_small_liability.testing import FakeBinance
from binance_small_liability_api.values import milliseconds, moment

from tests.clients import CREDENTIALS, RunClient, in_turn, interrupted, run_async, run_sync
from tests.wire import Answer, Request, closed, reset, response, serving, stalled
from tools.contract import TIME_PATH
from tools.operations import EXCHANGE, LIST_COINS, LIST_EXCHANGES, TIME_NAME

pytestmark = pytest.mark.usefixtures("no_waiting")

ACCEPTED = response(EXCHANGE.body)
MOST = operations.exchange.parameters["asset_names"].maximum or 0
SECOND = timedelta(seconds=1)
NAIVE = datetime(2026, 1, 1)
RECEIPT = Receipt(["BTC"], datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC))


def _exchange(client: Any) -> Any:
    return client.exchange(["BTC", "ETH"])


def test_without_a_turn_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binance_small_liability._io.threads.MOST_IN_FLIGHT", 0)
    with (
        serving(ACCEPTED) as server,
        pytest.raises(RequestTimeout, match="No connection became free") as caught,
    ):
        run_sync(_exchange, base_url=server.url, timeout=0.01, max_attempts=2)
    assert caught.value.attempts == 2
    assert not server.requests


@pytest.mark.parametrize("size", [0, 10], ids=["before", "in the middle"])
def test_a_server_that_closes_before_it_has_read_leaves_the_outcome_unknown(
    client: RunClient, size: int
) -> None:
    accepted = []

    class ClosesAtOnce(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            accepted.append(self.client_address)
            if size:
                self.request.recv(size)
            self.request.close()  # with bytes unread, this resets the connection

    with socketserver.TCPServer(("127.0.0.1", 0), ClosesAtOnce) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        with pytest.raises(OutcomeUnknownError):
            client(_exchange, base_url=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()
    assert len(accepted) == 1


def _without_tls(connection: socket.socket) -> None:
    with socket.socket(fileno=connection.detach()) as plain:
        plain.sendall(ACCEPTED * 9)


def test_tls(client: RunClient, tls_server: ssl.SSLContext) -> None:
    answers = [closed(), closed(ACCEPTED[:-3]), closed(ACCEPTED[:-1]), _without_tls, ACCEPTED]
    left = iter(answers)
    with serving(lambda _: next(left), tls_server) as server:
        *ends, last = client(in_turn(*[_exchange] * len(answers)), base_url=server.url)
    assert [type(end) for end in ends] == [OutcomeUnknownError] * 4
    assert isinstance(last, Receipt)
    assert len(server.requests) == len(answers)


NO_LIST = 'must be a list of names, such as ["BTC", "ETH"]'
BLANK = "must be names that are not blank"
REMOVE = "; remove commas, control characters and spaces around it"


@pytest.mark.parametrize(
    ("assets", "problem"),
    [
        ("BTC", NO_LIST),
        (b"BTC", NO_LIST),
        (None, NO_LIST),
        ([], f"must have 1 to {MOST} names, not 0"),
        ([f"A{i}" for i in range(MOST + 1)], f"must have 1 to {MOST} names, not {MOST + 1}"),
        ([""], BLANK),
        (["BTC", "  "], BLANK),
        ([None], "must be names, such as coin.asset, not NoneType"),
        (LIST_COINS.documented, "must be names, such as coin.asset, not Coin"),
        (["BTC,ETH"], f"holds 'BTC,ETH'{REMOVE}"),
        ([" BTC"], f"holds ' BTC'{REMOVE}"),
        (["B\nTC"], f"holds 'B\\nTC'{REMOVE}"),
        (["B" * 101], "has a name of over 100 characters"),
        (["BTC", "ETH", "BTC"], "contains a name twice; remove the duplicate"),
    ],
)
def test_wrong_assets_are_refused_before_anything_is_sent(
    one_client: RunClient, assets: Any, problem: str
) -> None:
    with serving(ACCEPTED) as server, pytest.raises(ConfigurationError) as caught:
        one_client(lambda c: c.exchange(assets), base_url=server.url)
    assert not server.requests
    assert (caught.value.option, caught.value.problem) == ("assets", problem)


def test_any_iterable_of_the_most_and_longest_names_is_accepted(one_client: RunClient) -> None:
    names = [f"{number}".ljust(100, "A") for number in range(MOST)]
    with serving(ACCEPTED) as server:
        receipt = one_client(lambda c: c.exchange(name for name in names), base_url=server.url)
    assert server.requests[0].query[0] == ("assetNames", "%2C".join(names))
    assert receipt.assets == tuple(names)


# Receipts.


@pytest.mark.parametrize("answer", [ACCEPTED, reset()], ids=["accepted", "unknown"])
def test_the_times_of_a_receipt(client: RunClient, answer: Answer) -> None:
    with serving(lambda _: answer) as server:
        [end] = client(
            in_turn(lambda c: c.exchange(["BTC"], recv_window=7_000)), base_url=server.url
        )
    receipt = end.receipt if isinstance(end, OutcomeUnknownError) else end
    milliseconds = int(dict(server.requests[0].query)["timestamp"])
    timestamp = datetime.fromtimestamp(milliseconds / 1000, UTC)
    # Binance accepts timestamps up to 1 s ahead of its clock, so its clock may be 1 s behind. It
    # gives up 10 s after `recv_window`.
    assert abs(receipt.sent_at - (timestamp - SECOND)) < SECOND / 1000
    assert abs(receipt.conclusive_at - (timestamp + 17 * SECOND)) < SECOND / 1000
    assert receipt.sent_at.utcoffset() == timedelta(0)


def test_a_receipt_can_be_stored() -> None:
    for copy in (
        pickle.loads(pickle.dumps(RECEIPT)),  # noqa: S301 - it is our own
        Receipt.from_dict(json.loads(json.dumps(RECEIPT.to_dict()))),
    ):
        assert copy == RECEIPT
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        RECEIPT.assets = ()  # type: ignore[misc]
    wrongs: list[Any] = [{}, {**RECEIPT.to_dict(), "sent_at": "yesterday"}, None, []]
    for wrong in wrongs:
        with pytest.raises(ConfigurationError, match="receipt is not what"):
            Receipt.from_dict(wrong)


def _assert_left(interrupt: BaseException | None, caplog: pytest.LogCaptureFixture) -> None:
    """An interrupt has left a receipt: on itself and in the log."""
    receipt = vars(interrupt)["receipt"]
    assert receipt.assets == ("BTC", "ETH")
    assert receipt.sent_at < datetime.now(UTC) < receipt.conclusive_at
    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    fields = {"receipt": receipt, "operation": "exchange", "attempt": 1}
    assert vars(record).items() >= fields.items()
    for text in (record.getMessage(), *vars(interrupt)["__notes__"]):
        assert "exchange of BTC, ETH was interrupted after sending began" in text
        assert "its outcome is unknown" in text
        assert receipt.conclusive_at.isoformat() in text


@pytest.mark.parametrize("client", ["async", "aiohttp"], indirect=True)
@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_cancelled_exchange_leaves_a_receipt(
    caplog: pytest.LogCaptureFixture, client: RunClient, how: str
) -> None:
    arrived = threading.Event()

    def answer(_: Request) -> Answer:
        arrived.set()
        return stalled()

    async def call(opened: Any) -> None:
        async with asyncio.timeout(None) as deadline:
            task = asyncio.create_task(_exchange(opened))
            await asyncio.to_thread(arrived.wait)
            if how == "cancel":
                task.cancel()
            else:
                deadline.reschedule(0)
            await task

    with (
        serving(answer) as server,
        pytest.raises((asyncio.CancelledError, TimeoutError)) as caught,
    ):
        client(call, base_url=server.url)
    error: BaseException | None = caught.value
    if how == "timeout":  # the first versions of Python 3.11 set no cause
        error = caught.value.__cause__ or caught.value.__context__
    _assert_left(error, caplog)


class Deadline(Exception):
    """Raised by a signal handler of the caller."""


@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
def test_an_interrupted_exchange_leaves_a_receipt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    def interrupt(*_: object) -> None:
        raise Deadline

    async def give_back(connection: Any) -> None:
        await connection.close()
        interrupt()

    def answer(_: Request) -> Answer:
        if when == "after the answer":
            return ACCEPTED
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        return stalled()

    before = signal.signal(signal.SIGUSR1, interrupt)
    with (
        serving(answer) as server,
        SmallLiabilityClient(base_url=server.url, timeout=5, **CREDENTIALS) as client,
    ):
        if when == "after the answer":
            monkeypatch.setattr(client._io, "give_back", give_back)
        with pytest.raises(Deadline) as caught:
            _exchange(client)
    signal.signal(signal.SIGUSR1, before)
    _assert_left(caught.value, caplog)


# What the interrupted line would have closed or awaited is left to the garbage collection.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_an_interruption_at_any_line_after_sending_leaves_a_receipt() -> None:
    def call() -> None:
        _exchange(SmallLiabilityClient(base_url=server.url, **CREDENTIALS))

    with serving(ACCEPTED) as server:
        for lines in itertools.count(1):
            server.requests.clear()
            error = interrupted(call, lines, lambda: server.requests)
            if error is None:
                break
            assert vars(error)["receipt"].assets == ("BTC", "ETH"), lines
    assert lines > 100
    gc.collect()


def test_an_exchange_that_is_cancelled_before_it_is_sent_leaves_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def call(client: Any) -> None:
        task = asyncio.create_task(_exchange(client))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert not hasattr(caught.value, "receipt")

    run_async(call, base_url="http://localhost:9")
    assert not caplog.records


# Confirming.


@pytest.mark.parametrize("lost", ["before", "after", "never"])
def test_a_receipt_is_confirmed_by_another_client_days_later(client: RunClient, lost: str) -> None:
    fake = FakeBinance()
    coins = list(fake.coins)
    with fake.serve() as url:
        options: dict[str, Any] = {**fake.credentials, "base_url": url}
        if lost != "never":
            fake.drop_next(operation="exchange", after_effect=lost == "after")
        [end] = client(in_turn(lambda c: c.exchange(["ETH"])), **options)
        receipt = end.receipt if isinstance(end, OutcomeUnknownError) else end
        happened = list(fake.exchanges)
        other = attrs.evolve(LIST_EXCHANGES.documented[0], asset="OTHER", time=receipt.sent_at)
        fake.exchanges.append(other)
        assert bool(happened) == (lost != "before")
        assert client(lambda c: c.confirm(receipt), **options) == happened
        # A later exchange of the same coin is another one.
        fake.advance(40 * 24 * 3600)
        fake.coins = coins
        client(lambda c: c.exchange(["ETH"]), **options)
        stored = Receipt.from_dict(json.loads(json.dumps(receipt.to_dict())))
        assert client(lambda c: c.confirm(stored), **options) == happened


@attrs.define
class History:
    """A server whose history lists an exchange once its clock shows a time.

    Attributes:
        skew: milliseconds by which its clock is ahead of this machine's.
        listed_from: the time, in milliseconds; None: never.
        broken: what answers before, instead of an empty page.
        asked_at: the time of each reading.
        skipped: the seconds of skipped waits before the receipt.
    """

    skew: int = 0
    listed_from: int | None = None
    broken: Answer | None = None
    asked_at: list[int] = attrs.field(factory=list)
    skipped: float = 0

    @property
    def now(self) -> int:
        return real_time.unix_ns() // 1_000_000 + self.skew

    @property
    def passed(self) -> int:
        """The same, with the waits that were skipped since the receipt."""
        return self.now + round((real_time.skipped() - self.skipped) * 1000)

    def receipt(self, *assets: str, left: int = 15_000) -> Receipt:
        """Of an exchange; milliseconds are left until its `conclusive_at`."""
        self.skipped = real_time.skipped()
        return Receipt(assets, moment(self.now - 1_000), moment(self.now + left))

    def __call__(self, request: Request) -> Answer:
        if request.path == TIME_PATH:
            return response({"serverTime": self.now})
        query = dict(request.query)
        if not self.now - 5_000 <= int(query["timestamp"]) < self.now + 1_000:
            return response({"code": -1021, "msg": "Outside."}, 400)
        self.asked_at.append(self.passed)
        rows = []
        if self.listed_from is not None and self.passed >= self.listed_from:
            [row] = json.loads(LIST_EXCHANGES.body)["rows"]
            rows = [{**row, TIME_NAME: int(query["startTime"])}]
        elif self.broken is not None:
            return self.broken
        return response({"total": len(rows), "rows": rows})


SKEWS = [0, -999, 3_000, -3_600_000, 3_600_000]  # the last two are corrected on the way


@pytest.mark.parametrize("skew", SKEWS)
def test_an_exchange_that_took_effect_at_the_last_moment_is_found(
    one_client: RunClient, skew: int
) -> None:
    history = History(skew)
    # So little is left that a clock which is ahead, as far as Binance accepts, shows a later time.
    receipt = history.receipt("ETH", left=500)
    history.listed_from = milliseconds(receipt.conclusive_at)
    with serving(history) as server:
        rows = one_client(lambda c: c.confirm(receipt), base_url=server.url)
    assert [row.asset for row in rows] == ["ETH"]


@pytest.mark.parametrize("skew", SKEWS)
def test_the_history_is_read_until_it_is_conclusive(
    one_client: RunClient, skew: int, caplog: pytest.LogCaptureFixture
) -> None:
    history = History(skew)
    receipt = history.receipt("ETH")
    caplog.set_level(logging.INFO, "binance_small_liability")
    with serving(history) as server:
        assert one_client(lambda c: c.confirm(receipt), base_url=server.url) == []
    text = "The history does not list the exchange yet; asking again in 0.5 s"
    assert text in caplog.messages
    logged = [vars(each) for each in caplog.records if "asking again" in each.getMessage()]
    assert [record["wait"] for record in logged[:4]] == [0.5, 1, 2, 4]
    assert {record["operation"] for record in logged} == {"list_exchanges"}
    *early, last = history.asked_at
    # The monotonic clock, which skipped waits move, allows for a request that arrives 10 s late.
    assert sum(record["wait"] for record in logged) > 16 + 10
    assert max(early) < milliseconds(receipt.conclusive_at) + 16_000
    assert milliseconds(receipt.conclusive_at) <= last
    assert 5 <= len(early) <= 9


def test_a_pause_is_not_longer_than_the_history_needs(
    one_client: RunClient, caplog: pytest.LogCaptureFixture
) -> None:
    history = History()
    receipt = history.receipt("ETH", left=5_000)
    caplog.set_level(logging.INFO, "binance_small_liability")
    with serving(history) as server:
        receipt = attrs.evolve(receipt, sent_at=moment(history.now - 60_000))
        one_client(lambda c: c.confirm(receipt), base_url=server.url)
    pauses = [vars(each)["wait"] for each in caplog.records if "asking again" in each.getMessage()]
    # Skipped pauses do not move the clock. One second more, because a clock may be ahead.
    assert 4 < max(pauses) <= 6.001


def test_a_part_of_the_assets_is_returned_once_the_history_is_conclusive(
    one_client: RunClient,
) -> None:
    history = History(listed_from=0)
    receipt = history.receipt("ETH", "BTC")
    with serving(history) as server:
        [row] = one_client(lambda c: c.confirm(receipt), base_url=server.url)
    assert row.asset == "ETH"
    assert history.asked_at[-1] >= milliseconds(receipt.conclusive_at)


@pytest.mark.parametrize(
    ("broken", "kind", "is_tried_again"),
    [
        (reset(), NetworkError, True),
        (response(b"", 503), ServerError, True),
        (response({"code": -2015}, 401), AuthenticationError, False),
        (response({"code": -1003}, 429, {"Retry-After": "100"}), RateLimitError, False),
    ],
)
def test_failures_meanwhile(
    one_client: RunClient, broken: Answer, kind: type[SmallLiabilityError], is_tried_again: bool
) -> None:
    history = History(broken=broken)
    receipt = history.receipt("ETH")
    with serving(history) as server:
        with pytest.raises(kind):
            one_client(lambda c: c.confirm(receipt), base_url=server.url)
        assert (history.asked_at[-1] >= milliseconds(receipt.conclusive_at)) == is_tried_again
        if is_tried_again:
            receipt = history.receipt("ETH")
            history.listed_from = history.passed + 3_000
            assert one_client(lambda c: c.confirm(receipt), base_url=server.url)
            assert history.asked_at[-1] < milliseconds(receipt.conclusive_at)


def test_a_receipt_from_a_clock_that_was_days_ahead_is_not_awaited_for_days(
    one_client: RunClient,
) -> None:
    history, before = History(-3 * 24 * 3_600_000), real_time.monotonic()

    def answer(request: Request) -> Answer:
        return reset() if request.method == "POST" else history(request)

    with serving(answer) as server:
        [error] = one_client(in_turn(_exchange), base_url=server.url)
        assert one_client(lambda c: c.confirm(error.receipt), base_url=server.url) == []
    assert real_time.monotonic() - before < 60


@pytest.mark.parametrize(
    ("receipt", "option", "problem"),
    [
        (None, "receipt", "must be a Receipt; Receipt.from_dict makes one"),
        (RECEIPT.to_dict(), "receipt", "must be a Receipt; Receipt.from_dict makes one"),
        (attrs.evolve(RECEIPT, sent_at=NAIVE), "receipt.sent_at", "must be an aware datetime"),
        (attrs.evolve(RECEIPT, conclusive_at=NAIVE), "receipt.conclusive_at", "must be an aware"),
    ],
)
def test_what_is_no_receipt_is_refused(
    one_client: RunClient, receipt: Any, option: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        one_client(lambda c: c.confirm(receipt))
    assert caught.value.option == option
    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad"])
def test_a_response_without_a_length_says_nothing_over_a_transport_of_the_caller(
    status: bytes,
) -> None:
    without_length = closed(b"HTTP/1.1 " + status + b"\r\n\r\n")
    with serving(lambda _: without_length) as server, pytest.raises(OutcomeUnknownError):
        run_sync(_exchange, base_url=server.url, transport=httpx.HTTPTransport())
