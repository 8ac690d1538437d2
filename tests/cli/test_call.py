"""`call`: any read of the contract, with its parameters, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from binance_small_liability import Coin, Exchange
from binance_small_liability.operations import ALL
from binance_small_liability_api.operation import Parameter, operation
from binance_small_liability_api.values import array, decimal

from tests.cli.command import COINS, Captured, fails, rows, succeeds
from tests.wire import WireServer, response, serving
from tools.operations import LIST_COINS, LIST_EXCHANGES, SERVER_TIME

KINDS: tuple[Any, ...] = ("integer", "time", "decimal", "boolean", "string", "array")
WRONG = {"integer": "1.5", "time": "soon", "decimal": "x", "boolean": "yes"}
RIGHT = {
    "integer": "7",
    "time": "2026-01-01",
    "decimal": "0.10",
    "boolean": "true",
    "string": "a=b",
    "array": "A,B",
}
SENT = ["7", "1767225600000", "0.10", "true", "a%3Db", "A%2CB"]


def newer(**_: Any) -> None:
    """A read with a parameter of each kind, whose answer is a list of numbers."""


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    facts: dict[str, Any] = {"weight": 1, "limiter": "IP", "weight_per_minute": None}
    facts |= {"weight_header": None, "record": None, "has_key": True, "signed": False}
    parameters = {f"{kind}_one": Parameter(name=f"{kind}One", kind=kind) for kind in KINDS}
    read = operation(
        read=array(decimal), method="GET", path="/newer", parameters=parameters, **facts
    )
    monkeypatch.setitem(ALL, "newer", read(newer))
    answers = {
        "/newer": response([1.5, 2]),
        LIST_COINS.path: response(COINS),
        LIST_EXCHANGES.path: response(LIST_EXCHANGES.body),
        SERVER_TIME.path: response(SERVER_TIME.body),
    }
    with serving(lambda request: answers[request.path]) as server:
        monkeypatch.setenv("BINANCE_BASE_URL", server.url)
        yield server


def test_records_are_printed_in_every_format(capsys: Captured) -> None:
    listed = rows(capsys, "call", "list_coins", "recv_window=3000")
    assert [list(row) for row in listed] == [[field.name for field in attrs.fields(Coin)]] * 2
    assert listed == rows(capsys, "list")
    whole = json.loads(succeeds(capsys, "call", "list_coins", "--format", "json"))
    assert [row["principal"] for row in whole] == ["0.100", "12"]


def test_a_page_prints_its_rows_and_is_whole_as_json(capsys: Captured) -> None:
    page = ("call", "list_exchanges", "current=1", "size=10")
    [row] = rows(capsys, *page)
    assert list(row) == [field.name for field in attrs.fields(Exchange)]
    whole = json.loads(succeeds(capsys, *page, "--format", "json"))
    assert whole["total"] == 1
    [record] = whole["rows"]
    assert list(record) == list(row)
    assert {
        name: text for name, text in record.items() if isinstance(text, str)
    }.items() <= row.items()
    assert "ETH" in succeeds(capsys, *page, "--format", "csv")
    assert "ETH" in succeeds(capsys, *page, "--format", "table")


def test_one_record_is_one_row(capsys: Captured) -> None:
    assert rows(capsys, "call", "server_time") == [{"server_time": "2017-07-12T02:41:59.559Z"}]


def test_parameters_of_every_kind(capsys: Captured, server: WireServer) -> None:
    given = [f"{kind}_one={RIGHT[kind]}" for kind in KINDS]
    assert [row["value"] for row in rows(capsys, "call", "newer", *given)] == ["1.5", "2"]
    [request] = server.requests
    assert request.query == [(f"{kind}One", text) for kind, text in zip(KINDS, SENT, strict=True)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "server_time, newer; see binance-small-liability call --help"),
        (
            ["newer", "time_one=2026-02-30"],
            "time_one=2026-02-30: the value 2026-02-30 is not a date",
        ),
        (["exchange"], "argument OPERATION: invalid choice: 'exchange' (choose from "),
        (["lists"], "argument OPERATION: invalid choice: 'lists'"),
        (["list_coins", "limit=1"], "limit is not a parameter of list_coins, which has: recv_w"),
        (["list_coins", "recv_window"], "recv_window is not a parameter of list_coins, which has"),
        (["server_time", "x=1"], "x is not a parameter of server_time, which has: none"),
        (["list_coins", "recv_window=1", "recv_window=2"], "recv_window is given twice"),
        (["list_coins", "recv_window=0"], "recv_window must be a whole number from 1 to"),
        (["list_exchanges", "current=1"], "size is missing; list_exchanges needs it"),
        *(
            (["newer", f"{kind}_one={text}"], f"{kind}_one={text}: the value must be ")
            for kind, text in WRONG.items()
        ),
    ],
)
def test_wrong_use_sends_nothing(
    capsys: Captured, server: WireServer, arguments: list[str], words: str
) -> None:
    assert words in fails(capsys, 2, "call", *arguments)
    assert server.requests == []


@pytest.mark.usefixtures("fake_binance_env")
def test_parameters_may_follow_options(capsys: Captured) -> None:
    arguments = ("--timeout", "9", "--format", "json", "size=10", "current=1")
    assert '"total": 0' in succeeds(capsys, "call", "list_exchanges", *arguments)
