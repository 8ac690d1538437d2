"""`call` makes any read of the contract and prints its records."""

import json
from collections.abc import Iterator

import pytest
from binance_small_liability.testing import FakeBinance

from tests.cli.command import Captured, fails, succeeds
from tools.operations import READS, SERVER_TIME, Operation


@pytest.fixture(autouse=True)
def fake(fake_binance: FakeBinance, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBinance]:
    with fake_binance.serve() as url:
        monkeypatch.setenv("BINANCE_BASE_URL", url)
        monkeypatch.setenv("BINANCE_API_KEY", fake_binance.api_key)
        monkeypatch.setenv("BINANCE_API_SECRET", str(fake_binance.api_secret))
        yield fake_binance


@pytest.mark.parametrize("read", [*READS, SERVER_TIME], ids=str)
def test_the_command_of_each_read_succeeds(capsys: Captured, read: Operation) -> None:
    assert succeeds(capsys, *read.command)


PAGE = ("call", "list_exchanges", "current=1", "size=10")


def test_a_page_is_its_rows_as_text_and_whole_as_json(capsys: Captured, fake: FakeBinance) -> None:
    succeeds(capsys, "exchange", "--all", "--yes")
    [exchange] = fake.exchanges
    for form, separator in (("tsv", "\t"), ("csv", ",")):
        names, row = succeeds(capsys, *PAGE, "--format", form).splitlines()
        assert names.split(separator)[0] == "asset"
        assert row.split(separator)[0] == exchange.asset
    assert exchange.asset in succeeds(capsys, *PAGE, "--format", "table").splitlines()[1]
    page = json.loads(succeeds(capsys, *PAGE, "--format", "json"))
    assert (page["total"], [row["asset"] for row in page["rows"]]) == (1, [exchange.asset])


def test_an_answer_without_rows(capsys: Captured) -> None:
    assert succeeds(capsys, *PAGE, "--format", "table") == "The answer has no rows.\n"
    assert json.loads(succeeds(capsys, *PAGE, "--format", "json"))["rows"] == []


def test_times_are_written_as_elsewhere(capsys: Captured, fake: FakeBinance) -> None:
    times = ("start_time=2026-01-31", "end_time=2026-01-31T12:00:00+02:00")
    succeeds(capsys, *PAGE, *times)
    sent = dict(fake.requests[-1].query)
    assert (sent["startTime"], sent["endTime"]) == ("1769817600000", "1769853600000")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("exchange", "nonsense"), "exchange is a POST; `call` only reads"),
        (("list_debts",), "invalid choice: 'list_debts'"),
        (("list_coins", "recv_window"), "recv_window is not a parameter of list_coins"),
        (
            ("list_coins", "recvWindow=5"),
            "recvWindow is not a parameter of list_coins, which has: ",
        ),
        (("server_time", "x=1"), "x is not a parameter of server_time, which has: none"),
        (("list_coins", "recv_window=5", "recv_window=6"), "recv_window is given twice"),
        (("list_coins", "recv_window=five"), "recv_window=five: the value must be a whole number"),
        (("list_coins", "recv_window=0"), "recv_window must be a whole number from 1 to"),
        (
            ("list_exchanges", "start_time=soon"),
            "start_time=soon: the value must be like 2026-01-31",
        ),
        (("list_exchanges", "current=1"), "size is missing; list_exchanges needs it"),
    ],
)
def test_wrong_use_is_explained_before_anything_is_sent(
    capsys: Captured, fake: FakeBinance, arguments: tuple[str, ...], problem: str
) -> None:
    assert problem in fails(capsys, 2, "call", *arguments)
    assert fake.requests == []
