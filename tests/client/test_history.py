"""`list_exchanges` returns all pages of all windows, oldest first, or raises an error."""

import itertools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Any, cast

import pytest
from attrs import evolve
from binance_small_liability import (
    ConfigurationError,
    ContractError,
    NetworkError,
    Receipt,
    _history,
)
from binance_small_liability._history import MOST_RESTARTS
from binance_small_liability.testing import FakeBinance
from binance_small_liability_api.values import moment

from tests.clients import CLIENTS, RunClient, in_turn, pandas
from tests.wire import Answer, Request, reset, response, serving
from tools.contract import TIME_PATH, today
from tools.operations import HISTORY_PATH, LIST_EXCHANGES, TIME_NAME

pytestmark = pytest.mark.usefixtures("no_waiting")
EVERY_CLIENT = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)

DAY = 24 * 60 * 60 * 1000  # milliseconds
START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = today()["components"]["schemas"]["Time"]
EXCHANGED = LIST_EXCHANGES.documented[0]
# The rows of a full page.
FULL = LIST_EXCHANGES.generated.parameters["size"].maximum or 0
NOT_AWARE = "must be an aware datetime, such as datetime(2026, 1, 1, tzinfo=UTC)"
TOO_LATE = "must not be later than end"


@pytest.fixture
def client(one_client: RunClient) -> RunClient:
    """One is enough where no test says otherwise: all clients share the reading of the history."""
    return one_client


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _row(time: int, number: int = 0) -> dict[str, Any]:
    return {**json.loads(LIST_EXCHANGES.body)["rows"][0], "asset": f"A{number}", TIME_NAME: time}


INCOMPLETE: tzinfo = cast(Any, tzinfo)()  # it raises NotImplementedError


class Odd(datetime):
    """A time whose difference is a class of its own, as that of pendulum is."""

    def __sub__(self, _: Any) -> Any:
        raise AttributeError


class History:
    """A server that pages through rows, the newest first."""

    def __init__(self, *times: int) -> None:
        self.rows = [_row(time, number) for number, time in enumerate(times)]

    def __call__(self, request: Request) -> Answer:
        assert request.path == HISTORY_PATH
        [query] = _queries(request)
        within = [
            row for row in self.rows if query["startTime"] <= row[TIME_NAME] <= query["endTime"]
        ]
        within.sort(key=lambda row: row[TIME_NAME], reverse=True)
        first = (query["current"] - 1) * query["size"]
        return response({"total": len(within), "rows": within[first : first + query["size"]]})


def _list(*arguments: Any, **keywords: Any) -> Callable[[Any], Any]:
    return lambda client: client.list_exchanges(*arguments, **keywords)


def _queries(*requests: Request) -> list[dict[str, int]]:
    return [
        {name: int(value) for name, value in request.query if name != "signature"}
        for request in requests
    ]


@EVERY_CLIENT
def test_by_default_the_last_30_days_in_one_request(client: RunClient) -> None:
    before = datetime.now(UTC)
    with serving(History()) as server:
        assert client(_list(), base_url=server.url) == []
    [query] = _queries(*server.requests)
    assert query["endTime"] - query["startTime"] == 30 * DAY
    assert (query["current"], query["size"]) == (1, FULL)
    # Binance's clock may be ahead by as much as recvWindow allows.
    assert _ms(before) <= query["endTime"] - query["recvWindow"] <= _ms(datetime.now(UTC))


@EVERY_CLIENT
def test_all_pages_oldest_first(client: RunClient) -> None:
    times = [_ms(START) + step * 1000 for step in range(5 * FULL // 2)]
    with serving(History(*times)) as server:
        whole = _list(START, START + timedelta(days=2), recv_window=1_234)
        done = client(whole, base_url=server.url)
    assert [_ms(exchange.time) for exchange in done] == times
    assert all(exchange.time.tzinfo is UTC for exchange in done)
    assert done[0] == evolve(EXCHANGED, asset="A0", time=START)
    queries = _queries(*server.requests)
    assert [(query["current"], query["recvWindow"]) for query in queries] == [
        (number, 1_234) for number in (1, 2, 3)
    ]


def test_windows_of_30_days_cover_everything_once(client: RunClient) -> None:
    end = START + timedelta(days=100)
    edges = [_ms(START) + step * 30 * DAY + off for step in range(4) for off in (-1, 0, 1)]
    inside = [time for time in edges if _ms(START) <= time <= _ms(end)]
    with serving(History(*edges)) as server:
        done = client(_list(START, end), base_url=server.url)
    assert [_ms(exchange.time) for exchange in done] == sorted(inside)
    queries = _queries(*server.requests)
    assert queries[0]["startTime"] == _ms(START)
    assert queries[-1]["endTime"] == _ms(end)
    for query, following in itertools.pairwise(queries):
        assert following["startTime"] == query["endTime"] + 1
    assert all(query["endTime"] - query["startTime"] <= 30 * DAY for query in queries)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pandas().Timestamp(START),
        lambda: Odd(2026, 1, 1, tzinfo=UTC),
        lambda: datetime(2026, 1, 1, 2, 0, 0, 999, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=["pandas", "pendulum", "zone and microseconds"],
)
def test_aware_times_are_accepted(client: RunClient, make: Any) -> None:
    start = make()
    calls = in_turn(
        lambda c: c.list_exchanges(start, start),
        lambda c: c.call(
            LIST_EXCHANGES.generated, current=1, size=2, start_time=start, end_time=start
        ),
        lambda c: c.confirm(Receipt(["A0"], start, start)),
    )
    with serving(History(_ms(START))) as server:
        [done, _, confirmed] = client(calls, base_url=server.url)
    assert [each.time for each in done + confirmed] == [START] * 2
    assert [query["startTime"] for query in _queries(*server.requests)] == [_ms(START)] * 3


@pytest.mark.parametrize("wrong", [timedelta(days=days) for days in (-6_000, -2, 2)])
@pytest.mark.parametrize("start", [None, timedelta(hours=-2), timedelta(seconds=-2)])
def test_a_wrong_clock_of_this_machine_does_not_matter(
    client: RunClient,
    start: timedelta | None,
    wrong: timedelta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exchange happened a second ago."""
    right = time.time_ns
    monkeypatch.setattr(
        time, "time_ns", lambda: right() + wrong // timedelta(microseconds=1) * 1000
    )
    fake = FakeBinance()
    fake.clock_skew = -(wrong // timedelta(milliseconds=1))
    now = moment(right() // 1_000_000)
    fake.exchanges = [evolve(EXCHANGED, time=now - timedelta(seconds=1))]
    with fake.serve() as url:
        options: dict[str, Any] = {**fake.credentials, "base_url": url}
        assert client(_list(start and now + start), **options) == fake.exchanges


def test_a_clock_that_is_corrected_during_the_reading_moves_its_end(client: RunClient) -> None:
    history = History(*(_ms(START) + step for step in range(150)))
    ahead = 0

    def answer(request: Request) -> Answer:
        nonlocal ahead
        now = _ms(datetime.now(UTC)) + ahead
        if request.path == TIME_PATH:
            return response({"serverTime": now})
        if now - int(dict(request.query)["timestamp"]) > 5_000:
            return response({"code": -1021, "msg": "Outside."}, 400)
        if not ahead:  # the machine slept, and an exchange happened meanwhile
            ahead = DAY
            history.rows.append(_row(now + ahead, 150))
        return history(request)

    with serving(answer) as server:
        assert len(client(_list(START), base_url=server.url)) == 151


def test_a_start_in_the_future_is_refused_by_binances_clock_alone(client: RunClient) -> None:
    with serving(response({"serverTime": _ms(START)})) as server:
        with pytest.raises(ConfigurationError, match="start must not be in the future"):
            client(_list(datetime(9999, 1, 1, tzinfo=UTC)), base_url=server.url)
        assert [request.path for request in server.requests] == [TIME_PATH]
    # Without Binance's time, the request itself shows what is wrong.
    with serving(lambda _: reset()) as server:
        with pytest.raises(NetworkError):
            client(_list(datetime(9999, 1, 1, tzinfo=UTC)), base_url=server.url)
        assert [request.path for request in server.requests][-3:] == [HISTORY_PATH] * 3


def test_a_range_ends_now_and_begins_when_binance_began(client: RunClient) -> None:
    early, late = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with serving(History()) as server:
        for start, end, requests in (
            (yesterday, late, 1),
            (early, datetime(2017, 2, 1, tzinfo=UTC), 2),
            (early, early, 0),
        ):
            server.requests.clear()
            assert client(_list(start, end), base_url=server.url) == []
            assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("arguments", "option", "problem"),
    [
        ({"start": datetime(2026, 1, 1)}, "start", NOT_AWARE),
        ({"end": datetime(2026, 1, 1)}, "end", NOT_AWARE),
        ({"start": "2026-01-01"}, "start", NOT_AWARE),
        ({"end": 1_800_000_000_000}, "end", NOT_AWARE),
        ({"start": lambda: pandas().NaT}, "start", NOT_AWARE),
        ({"end": datetime(2026, 1, 1, tzinfo=INCOMPLETE)}, "end", NOT_AWARE),
        ({"start": START, "end": START - timedelta(milliseconds=1)}, "start", TOO_LATE),
    ],
)
def test_wrong_times_are_refused_before_anything_is_sent(
    client: RunClient, arguments: dict[str, Any], option: str, problem: str
) -> None:
    arguments = {k: v() if callable(v) else v for k, v in arguments.items()}
    with serving(History()) as server:
        with pytest.raises(ConfigurationError) as caught:
            client(_list(**arguments), base_url=server.url)
        assert not server.requests
    assert (caught.value.option, caught.value.problem) == (option, problem)


@cache
def _page(total: int, rows: int) -> bytes:
    body = {"total": total, "rows": [_row(_ms(START), number) for number in range(rows)]}
    return response(json.dumps(body).encode())


def _pages(*pages: tuple[int, int]) -> Callable[[Request], Answer]:
    """A server that answers with these totals and numbers of rows; the last pair repeats."""
    queue = list(pages)

    def answer(_: Request) -> Answer:
        return _page(*(queue.pop(0) if len(queue) > 1 else queue[0]))

    return answer


GROWING = [(FULL + number, FULL) for number in range(1, 2 * MOST_RESTARTS + 1)]


@pytest.mark.parametrize(
    ("pages", "requests", "problem"),
    [
        ([(2000, FULL), (1950, FULL)], 2, "shrank from 2000 to 1950"),
        ([(2000, FULL), (2000, 0)], 2, f"ends after {FULL} of 2000"),
        ([(1, 2)], 1, "has 2 rows, but its total is 1"),
        ([(10**9, FULL)], 3, "more than 3 pages"),
        (GROWING, 2 * MOST_RESTARTS, f"grew during each of {MOST_RESTARTS} readings"),
    ],
)
def test_pages_that_cannot_be_right(
    client: RunClient,
    pages: list[tuple[int, int]],
    requests: int,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_history, "MOST_PAGES", 3)
    with (
        serving(_pages(*pages)) as server,
        pytest.raises(ContractError, match=problem),
    ):
        client(_list(START, START + timedelta(days=1)), base_url=server.url)
    assert len(server.requests) == requests


def test_a_history_that_grows_during_the_reading_is_read_again(client: RunClient) -> None:
    pages = [(FULL + 1, FULL), (FULL + 2, 2), (FULL + 2, FULL), (FULL + 2, 2)]
    with serving(_pages(*pages)) as server:
        done = client(_list(START, START + timedelta(days=1)), base_url=server.url)
    assert len(done) == FULL + 2
    assert [query["current"] for query in _queries(*server.requests)] == [1, 2, 1, 2]


@pytest.mark.parametrize("fails", [False, True])
def test_each_page_is_retried_on_its_own_and_the_list_is_never_a_part(
    client: RunClient, fails: bool
) -> None:
    history = History(*(_ms(START) + step for step in range(5 * FULL // 2)))
    tries = dict.fromkeys(("1", "2", "3"), 0)

    def answer(request: Request) -> Answer:
        current = dict(request.query)["current"]
        tries[current] += 1
        is_lost = tries[current] < 3 or (fails and current == "3")
        return reset() if is_lost else history(request)

    with serving(answer) as server:
        [done] = client(in_turn(_list(START, START + timedelta(days=1))), base_url=server.url)
    assert isinstance(done, NetworkError) if fails else len(done) == 5 * FULL // 2
    assert set(tries.values()) == {3}


@pytest.mark.parametrize("time", [TIMES["minimum"], TIMES["maximum"]])
def test_the_first_and_the_last_moment_are_times(client: RunClient, time: int) -> None:
    with serving(response({"total": 1, "rows": [_row(time)]})) as server:
        [exchange] = client(_list(), base_url=server.url)
    assert _ms(exchange.time) == time
