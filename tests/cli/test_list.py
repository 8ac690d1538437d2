"""`list`: the four formats, and control characters."""

import csv
import io
import json
import os
import pty
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.command import COINS, SHELL_COMMAND, Captured, shell, succeeds
from tests.wire import response, serving


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # It has a field that is not in the contract, so the client logs a warning.
    with serving(response([coin | {"new": 1} for coin in COINS])) as server:
        monkeypatch.setenv("BINANCE_BASE_URL", server.url)
        yield server.url


def test_tsv_without_a_terminal(capsys: Captured) -> None:
    # A new field of the contract becomes the last column.
    lines = succeeds(capsys, "list").splitlines()
    assert [line.split("\t")[:5] for line in lines] == [
        ["asset", "principal", "interest", "liability_asset", "liability_qty"],
        ["ETH", "0.100", "0.00000001", "USDT", "123456789012.123456789012345678"],
        ["币安人生", "12", "0", "USDC", "3"],
    ]


def test_table(capsys: Captured) -> None:
    head, first, second = succeeds(capsys, "list", "--format", "table").splitlines()
    wanted = " asset     principal    interest  liability_asset                    liability_qty"
    assert head.startswith(wanted)
    wanted = " ETH           0.100  0.00000001  USDT             123456789012.123456789012345678"
    assert first.startswith(wanted)
    wanted = " 币安人生         12           0  USDC                                           3"
    assert second.startswith(wanted)


def test_json_keeps_every_digit_in_strings(capsys: Captured) -> None:
    text = succeeds(capsys, "list", "--format", "json")
    # The output is ASCII, which is valid in any character set.
    assert text.isascii()
    assert json.loads(text)[1]["asset"] == "币安人生"
    wanted = {
        "asset": "ETH",
        "principal": "0.100",
        "interest": "0.00000001",
        "liability_asset": "USDT",
        "liability_qty": "123456789012.123456789012345678",
    }
    assert wanted.items() <= json.loads(text)[0].items()


def test_csv(capsys: Captured) -> None:
    rows = list(csv.DictReader(io.StringIO(succeeds(capsys, "list", "--format", "csv"))))
    assert rows[0]["liability_qty"] == "123456789012.123456789012345678"
    assert [row["asset"] for row in rows] == ["ETH", "币安人生"]


def test_only_the_named_assets(capsys: Captured) -> None:
    assert "币安人生" not in succeeds(capsys, "list", "--asset", "eth")
    lines = succeeds(capsys, "list", "--asset", "ETH", "--asset", "币安人生").splitlines()
    assert len(lines) == 3
    assert succeeds(capsys, "list", "--asset", "BTC").count("\n") == 1
    assert json.loads(succeeds(capsys, "list", "--asset", "BTC", "--format", "json")) == []
    table = succeeds(capsys, "list", "--asset", "BTC", "--format", "table")
    assert table == "There are no small debts to exchange.\n"


def test_a_terminal_gets_a_table() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([SHELL_COMMAND, "list"], stdout=theirs, check=True)
    os.close(theirs)
    printed = os.read(ours, 10_000).decode()
    os.close(ours)
    assert " ETH           0.100  0.00000001" in printed


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_characters_outside_the_character_set_are_escaped(encoding: str) -> None:
    done = subprocess.run(
        [SHELL_COMMAND, "list"],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert rb"\u5e01\u5b89\u4eba\u751f" in done.stdout
    assert done.stderr == b""


def test_a_reader_that_closes_the_pipe_is_not_a_failure() -> None:
    done = shell('"$0" list | true; exit "${PIPESTATUS[0]}"')
    assert (done.returncode, done.stderr) == (0, "")


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
