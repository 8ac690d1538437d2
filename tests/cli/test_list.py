"""`list`: the four formats, and control characters."""

import csv
import io
import json
import os
import pty
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs
import pytest
from binance_small_liability import Coin
from binance_small_liability.cli.formats import render
from binance_small_liability.cli.main import run

from tests.cli.command import COINS, Captured, rows, succeeds
from tests.wire import response, serving
from tools.operations import LIST_COINS

FIELDS: "tuple[attrs.Attribute[Any], ...]" = attrs.fields(Coin)
COLUMNS = [field.name for field in FIELDS]
FIRST = {
    "asset": "ETH",
    "principal": "0.100",
    "interest": "0.00000001",
    "liability_asset": "USDT",
    "liability_qty": "123456789012.123456789012345678",
}


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # It has a field that is not in the contract, so the client logs a warning.
    with serving(response([coin | {"new": 1} for coin in COINS])) as server:
        monkeypatch.setenv("BINANCE_BASE_URL", server.url)
        yield server.url


def test_every_format_has_every_digit(capsys: Captured) -> None:
    tsv = rows(capsys, "list")
    written = csv.DictReader(io.StringIO(succeeds(capsys, "list", "--format", "csv")), strict=True)
    text = succeeds(capsys, "list", "--format", "json")
    # The output is ASCII, which is valid in any character set.
    assert text.isascii()
    for listed in (tsv, list(written), json.loads(text)):
        assert [list(each) for each in listed] == [COLUMNS, COLUMNS]
        assert FIRST.items() <= listed[0].items()
        assert (listed[1]["asset"], listed[1]["liability_qty"]) == ("币安人生", "3")


def test_a_table_is_aligned(capsys: Captured) -> None:
    head, first, second = succeeds(capsys, "list", "--format", "table").splitlines()
    # Columns are two spaces apart; one space may be part of a value.
    titles, cells, others = (
        list(re.finditer(r"\S+( \S+)*", line)) for line in (head, first, second)
    )
    assert [title[0] for title in titles] == COLUMNS
    by_end = {cell.end(): cell[0] for cell in cells}
    by_start = {cell.start(): cell[0] for cell in cells}
    for field, title in zip(FIELDS, titles, strict=True):
        if field.name in FIRST:
            # Amounts are aligned to the right.
            is_amount = field.type in (Decimal, Decimal | None)
            shown = by_end.get(title.end()) if is_amount else by_start.get(title.start())
            assert shown == FIRST[field.name]
    assert "3" in [cell[0] for cell in others]


def test_only_the_named_assets(capsys: Captured) -> None:
    assert [each["asset"] for each in rows(capsys, "list", "--asset", "eth")] == ["ETH"]
    assert len(rows(capsys, "list", "--asset", "ETH", "--asset", "币安人生")) == 2


@pytest.mark.parametrize("form", ["tsv", "table"])
def test_a_value_that_is_a_list_or_a_record_is_json(form: str) -> None:
    coin = LIST_COINS.documented[0]
    text = render(None, [[Decimal("0.10"), None, coin]], form)
    amount, nothing, record = json.loads(text.splitlines()[1])
    assert (amount, nothing) == ("0.10", None)
    assert record["principal"] == str(coin.principal)


TYPO = "There is no small debt in Doge; there are small debts in: ETH, 币安人生\n"


@pytest.mark.parametrize(
    ("form", "names", "printed", "told"),
    [
        ("table", "Doge", TYPO, False),
        ("table", "Doge eth", None, True),
        ("tsv", "Doge", "\t".join(COLUMNS) + "\n", True),
        ("json", "Doge", "[]\n", True),
        ("json", "Doge ETH", None, True),
        ("json", "ETH", None, False),
    ],
)
def test_an_asset_without_a_small_debt_is_named(
    capsys: Captured, form: str, names: str, printed: str | None, told: bool
) -> None:
    options = [word for name in names.split() for word in ("--asset", name)]
    assert run(["list", "--format", form, *options]) == 0
    shown, said = capsys.readouterr()
    assert shown == printed if printed else "ETH" in shown
    assert said == (f"binance-small-liability: {TYPO}" if told else "")


def test_an_account_without_small_debts(capsys: Captured) -> None:
    named = "There is no small debt in eth, x, nor in any other coin\n"
    with serving(response([])) as server:
        table = ("list", "--base-url", server.url, "--format", "table")
        assert succeeds(capsys, *table) == "There are no small debts to exchange.\n"
        assert succeeds(capsys, *table, "--asset", "eth", "--asset", "x") == named
        assert run([*table[:-2], "--asset", "eth", "--asset", "x"]) == 0
    shown, said = capsys.readouterr()
    assert shown == "\t".join(COLUMNS) + "\n"
    assert said == f"binance-small-liability: {named}"


def test_a_terminal_gets_a_table(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert succeeds(capsys, "list") == ""
        assert b" ETH  " in os.read(ours, 10_000)
    os.close(ours)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_characters_outside_the_character_set_are_escaped(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding))
    assert succeeds(capsys, "list") == ""
    assert rb"\u5e01\u5b89\u4eba\u751f" in shown.getvalue()


@pytest.mark.parametrize("form", ["table", "tsv", "csv", "json"])
def test_control_characters_do_not_reach_the_terminal(capsys: Captured, form: str) -> None:
    evil = "A\x1b[2J\x9b\u202e\u2028\t\ud800\x7f"
    with serving(response([{**COINS[0], "asset": evil}])) as server:
        text = succeeds(capsys, "list", "--format", form, "--base-url", server.url)
    hidden = [c for c in text if not c.isprintable() and c not in "\t\n"]
    assert hidden == []
    if form == "json":
        assert json.loads(text)[0]["asset"] == evil
    else:
        assert r"A\x1b[2J\x9b\u202e\u2028\t\ud800\x7f" in text


def test_an_exponent_that_is_too_long_to_write_out(capsys: Captured) -> None:
    body = json.dumps([COINS[0]]).replace('"0.100"', "1E+999999999").encode()
    with serving(response(body)) as server:
        assert "\t1E+999999999\t" in succeeds(capsys, "list", "--base-url", server.url)
