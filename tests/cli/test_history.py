"""`history`: past exchanges in the four formats."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.cli.command import Captured, succeeds
from tests.wire import Request, WireServer, response, serving

# 2026-01-05T12:00:00.007Z
TIME = 1_767_614_400_007
ROWS = [
    {
        "asset": "币安人生",
        "amount": "0.000000000000000001",
        "targetAsset": "USDT",
        "targetAmount": "123456789012.123456789012345678",
        "bizType": "EXCHANGE_SMALL_LIABILITY",
        "timestamp": TIME,
    }
]
COLUMNS = ["asset", "amount", "target_asset", "target_amount", "biz_type", "time"]
VALUES = [
    "币安人生",
    "0.000000000000000001",
    "USDT",
    "123456789012.123456789012345678",
    "EXCHANGE_SMALL_LIABILITY",
    "2026-01-05T12:00:00.007Z",
]


def _answer(request: Request) -> bytes:
    query = dict(request.query)
    rows = ROWS if int(query["startTime"]) <= TIME <= int(query["endTime"]) else []
    return response({"total": len(rows), "rows": rows})


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    with serving(_answer) as server:
        monkeypatch.setenv("BINANCE_BASE_URL", server.url)
        yield server


JANUARY = ("history", "--since", "2026-01-01", "--until", "2026-01-30")


def test_tsv(capsys: Captured) -> None:
    lines = succeeds(capsys, *JANUARY).splitlines()
    assert [line.split("\t") for line in lines] == [COLUMNS, VALUES]


def test_table(capsys: Captured) -> None:
    head, row = succeeds(capsys, *JANUARY, "--format", "table").splitlines()
    assert head.split() == COLUMNS
    assert row.split() == VALUES
    # Amounts are aligned to the right.
    assert head.index(" amount") + len(" amount") == head.index("amount  ") + len("amount")


def test_json(capsys: Captured) -> None:
    [row] = json.loads(succeeds(capsys, *JANUARY, "--format", "json"))
    assert row == dict(zip(COLUMNS, VALUES, strict=True))


def test_csv(capsys: Captured) -> None:
    text = succeeds(capsys, *JANUARY, "--format", "csv")
    assert list(csv.reader(io.StringIO(text))) == [COLUMNS, VALUES]


def test_none(capsys: Captured) -> None:
    period = ("history", "--since", "2025-01-01", "--until", "2025-01-02")
    assert succeeds(capsys, *period, "--format", "table") == "There were no exchanges.\n"
    assert succeeds(capsys, *period) == "\t".join(COLUMNS) + "\n"


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
