"""`history`: past exchanges, and how times are written."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import attrs
import pytest
from binance_small_liability import Exchange
from binance_small_liability.cli.formats import render_json
from binance_small_liability.cli.main import run
from binance_small_liability.operations import list_exchanges as operation

from tests.cli.command import Captured, fails, rows, succeeds
from tests.wire import Request, WireServer, response, serving
from tools.operations import LIST_EXCHANGES, TIME_NAME

# 2026-01-05T12:00:00.007Z
TIME = 1_767_614_400_007
ROW = json.loads(LIST_EXCHANGES.body)["rows"][0] | {"asset": "币安人生", TIME_NAME: TIME}


def _answer(request: Request) -> bytes:
    query = dict(request.query)
    found = [ROW] if int(query["startTime"]) <= TIME <= int(query["endTime"]) else []
    return response({"total": len(found), "rows": found})


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    with serving(_answer) as server:
        monkeypatch.setenv("BINANCE_BASE_URL", server.url)
        yield server


def test_past_exchanges(capsys: Captured) -> None:
    [row] = rows(capsys, "history", "--since", "2026-01-01", "--until", "2026-01-30")
    assert list(row) == [field.name for field in attrs.fields(Exchange)]
    assert row["time"] == "2026-01-05T12:00:00.007Z"
    record = Exchange.from_dict(ROW, set())
    for name, value in attrs.asdict(record, recurse=False).items():
        if isinstance(value, datetime):
            assert datetime.fromisoformat(row[name]) == value
        elif isinstance(value, list) or attrs.has(type(value)):
            assert json.loads(row[name]) == json.loads(render_json(value))
        else:
            assert row[name] == str(value)


def test_none(capsys: Captured) -> None:
    period = ("history", "--since", "2025-01-01", "--until", "2025-01-02")
    assert succeeds(capsys, *period, "--format", "table") == "There were no exchanges.\n"
    assert rows(capsys, *period) == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T12:30", datetime(2026, 1, 1, 12, 30, tzinfo=UTC)),
        ("2026-01-01T12:30:00.007Z", datetime(2026, 1, 1, 12, 30, 0, 7000, tzinfo=UTC)),
        ("2026-01-01T01:00:00+02:00", datetime(2025, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_how_times_are_read(
    capsys: Captured, server: WireServer, text: str, moment: datetime
) -> None:
    succeeds(capsys, "history", "--since", text, "--until", "2026-01-02")
    query = dict(server.requests[0].query)
    assert int(query["startTime"]) == round(moment.timestamp() * 1000)
    assert int(query["endTime"]) == round(datetime(2026, 1, 2, tzinfo=UTC).timestamp() * 1000)


def test_without_a_period_it_asks_for_the_last_30_days(
    capsys: Captured, server: WireServer
) -> None:
    succeeds(capsys, "history")
    first, last = dict(server.requests[0].query), dict(server.requests[-1].query)
    assert int(last["endTime"]) - int(first["startTime"]) == 30 * 24 * 60 * 60 * 1000


def test_long_waits_are_announced(capsys: Captured, server: WireServer) -> None:
    period = ("history", "--since", "2026-01-01", "--until", "2026-02-20")  # two requests
    used_up = {operation.weight_header or "": str(operation.weight_per_minute)}
    answers = iter([response({}, 429, {"Retry-After": "30"}), response({}, 503)])
    page = response({"total": 0, "rows": []}, headers=used_up)
    server.answer = lambda _: next(answers, page)
    assert run(period) == 0
    assert re.fullmatch(
        r"binance-small-liability: RateLimitError; trying again in 30 s\n"
        r"binance-small-liability: waiting \d\d s: the budget of list_exchanges, .* is used up\n",
        capsys.readouterr().err,
    )
    line = fails(capsys, 1, *period, "--max-wait", "5")
    assert re.search(r": Not sent: the budget of list_exchanges, .*\. Retry after \d\d s\. ", line)
