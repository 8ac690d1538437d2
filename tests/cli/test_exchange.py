"""`exchange` shows the debts, asks, sends once, and finds out what became of it."""

import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from binance_small_liability import operations
from binance_small_liability._io import real_time
from binance_small_liability.cli.connection import given
from binance_small_liability.cli.main import run
from binance_small_liability.cli.parser import parse

from tests.cli.command import SHELL_COMMAND, Captured, assert_one_line, fails, shell, succeeds
from tests.conftest import API_KEY, API_SECRET, running
from tests.wire import Answer, Request, WireServer, reset, response, serving
from tools.contract import today
from tools.operations import EXCHANGE, HISTORY_PATH, LIST_COINS, LIST_EXCHANGES, TIME_NAME

COIN = json.loads(LIST_COINS.body)[0]
ROW = json.loads(LIST_EXCHANGES.body)["rows"][0]
MOST = operations.exchange.parameters["asset_names"].maximum or 0
UNKNOWN = "may have taken effect"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Binance:
    """An account.

    Attributes:
        coins: what `list` shows.
        answer: makes the answer to an exchange.
        listed: the coins that the history lists after an exchange; None: those exchanged.
        history: answers instead of the history.
        rows: the history.
    """

    def __init__(self) -> None:
        self.coins = [{**COIN, "asset": name} for name in ("ETH", "币安人生")]
        self.answer: Callable[[], Answer] = lambda: response(EXCHANGE.body)
        self.listed: list[str] | None = None
        self.history: Answer | None = None
        self.rows: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Answer:
        query = {name: unquote(value) for name, value in request.query}
        if request.method == "POST":
            names = query["assetNames"].split(",") if self.listed is None else self.listed
            now = real_time.unix_ns() // 1_000_000
            self.rows += [{**ROW, "asset": name, TIME_NAME: now} for name in names]
            return self.answer()
        if request.path == HISTORY_PATH:
            start, end = int(query["startTime"]), int(query["endTime"])
            rows = [row for row in self.rows if start <= row[TIME_NAME] <= end]
            return self.history or response({"total": len(rows), "rows": rows})
        return response(self.coins)


@pytest.fixture
def binance() -> Binance:
    return Binance()


@pytest.fixture(autouse=True)
def server(binance: Binance, monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    with serving(binance) as server:
        monkeypatch.setenv("BINANCE_BASE_URL", server.url)
        yield server


def sent(server: WireServer) -> list[str]:
    """The names of each received exchange."""
    posts = [request for request in server.requests if request.method == "POST"]
    return [unquote(dict(request.query)["assetNames"]) for request in posts]


def ends(capsys: Captured, code: int, *arguments: str) -> tuple[str, str]:
    """Runs an exchange; returns what it printed after the question, and its last line on stderr."""
    assert run(["exchange", "--yes", *arguments]) == code
    printed, written = capsys.readouterr()
    *progress, last = written.splitlines(keepends=True)
    for line in (*progress, last):
        assert_one_line(line)
    return printed.partition("The values above are in USDT.\n")[2], last


class TestWithoutATerminal:
    def test_coins_that_are_named(self, capsys: Captured, server: WireServer) -> None:
        printed = succeeds(capsys, "exchange", "币安人生", "eth", "ETH", "--yes")
        assert sent(server) == ["币安人生,ETH"]
        shown, result = printed.split("Your new debt will be in a coin that Binance chooses.")
        assert COIN["interest"] in shown
        assert result.startswith(f" The values above are in {COIN['liabilityAsset']}.\n")
        names = {*today()["components"]["schemas"]["Exchange"]["required"]} - {"asset", TIME_NAME}
        assert {result.count(str(ROW[name])) for name in names} == {2}

    def test_all(self, capsys: Captured, server: WireServer) -> None:
        succeeds(capsys, "exchange", "--all", "--yes")
        assert sent(server) == ["ETH,币安人生"]

    @pytest.mark.parametrize(
        "answer", [response(b""), response({"code": -1, "msg": "\x1b"}, 400)], ids=len
    )
    def test_no_text_controls_the_terminal(
        self, capsys: Captured, binance: Binance, monkeypatch: pytest.MonkeyPatch, answer: Answer
    ) -> None:
        binance.coins = [{**COIN, "liabilityAsset": "\x1b[31m\u202e"}]
        binance.answer = lambda: answer
        monkeypatch.setitem(ROW, "targetAsset", "\x1b[31m\u202e")
        run(["exchange", "--all", "--yes"])
        shown = "".join(capsys.readouterr())
        assert [sign for sign in shown if not sign.isprintable() and sign != "\n"] == []
        assert shown.count(r"\x1b") >= 2

    def test_no_debts(self, capsys: Captured, server: WireServer, binance: Binance) -> None:
        binance.coins = []
        printed = succeeds(capsys, "exchange", "--all", "--yes")
        assert printed == "There are no small debts to exchange.\n"
        assert sent(server) == []

    @pytest.mark.parametrize("coins", [["--all"], ["ETH"]])
    def test_it_needs_consent(self, capsys: Captured, server: WireServer, coins: list[str]) -> None:
        assert "needs --yes" in fails(capsys, 2, "exchange", *coins)
        assert server.requests == []

    @pytest.mark.parametrize(
        ("arguments", "wanted"),
        [
            ([], "name the coins to exchange, or give --all"),
            (["ETH", "--all"], "name the coins to exchange or give --all, not both"),
            (["ETH", "--first", "1"], "--first needs --all"),
            *(
                (["--all", "--first", number], f"--first: must be a whole number from 1 to {MOST};")
                for number in ("0", f"{MOST + 1}", "x", "²")
            ),
            (["ETH,BTC"], "separate coins with spaces, without commas or quotes: ETH BTC"),
            (["ETH BTC"], "separate coins with spaces, without commas or quotes: ETH BTC"),
            (
                [f"A{i}" for i in range(MOST + 1)],
                f"at most {MOST} coins at a time, not {MOST + 1}; name at most {MOST} of: A0 A1",
            ),
        ],
    )
    def test_wrong_use(
        self, capsys: Captured, server: WireServer, arguments: list[str], wanted: str
    ) -> None:
        assert wanted in fails(capsys, 2, "exchange", *arguments, "--yes")
        assert server.requests == []

    def test_a_coin_without_a_small_debt(self, capsys: Captured, server: WireServer) -> None:
        line = fails(capsys, 2, "exchange", "ETH", "btcc", "xmr", "--yes")
        assert "There is no small debt in btcc, xmr; there are small debts in: ETH, 币安" in line
        assert fails(capsys, 2, "exchange", "all", "--yes").endswith("did you mean --all?\n")
        assert sent(server) == []

    def test_more_coins_than_one_exchange_takes(
        self, capsys: Captured, server: WireServer, binance: Binance
    ) -> None:
        names = [f"A{number}" for number in range(MOST + 1)]
        binance.coins = [{**COIN, "asset": name} for name in names]
        line = fails(capsys, 2, "exchange", "--all", "--yes")
        assert f"at most {MOST} coins at a time, not {MOST + 1}; add --first {MOST}" in line
        assert sent(server) == []
        printed = succeeds(capsys, "exchange", "--all", "--yes", "--first", f"{MOST}")
        assert sent(server) == [",".join(names[:MOST])]
        assert f" {names[MOST]} " not in printed


def _refusing(code: int) -> dict[str, Any]:
    return {"answer": lambda: response({"code": code, "msg": "Pending."}, 400)}


HOURS = today()["paths"][LIST_COINS.path]["post"]["x-rules"]["once-in-hours"]


@pytest.mark.parametrize(
    ("changes", "wanted", "sendings"),
    [
        (_refusing(-3022), "-3022: Pending. Look the code up: https://", 1),
        (_refusing(-3007), f"Binance allows one exchange every {HOURS} hours; `history` shows", 1),
        ({"url": "http://127.0.0.1:1"}, "No usable response from 127.0.0.1", 0),
    ],
)
def test_a_failure_that_exchanges_nothing(
    capsys: Captured,
    server: WireServer,
    binance: Binance,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    wanted: str,
    sendings: int,
) -> None:
    vars(binance).update(changes)
    monkeypatch.setenv("BINANCE_BASE_URL", changes.get("url", server.url))
    printed, line = ends(capsys, 1, "ETH")
    assert printed == ""
    assert wanted in line
    assert "Try again" not in line
    assert line.endswith(" Nothing was exchanged.\n")
    assert len(sent(server)) == sendings


def test_without_waiting_it_ends_after_the_answer(
    capsys: Captured, server: WireServer, binance: Binance
) -> None:
    printed = succeeds(capsys, "exchange", "ETH", "--yes", "--no-wait")
    _, _, command = printed.rpartition(
        "Binance accepted the exchange of ETH. The result is listed by: "
    )
    assert server.requests[-1].method == "POST"
    assert "\nETH\t" in succeeds(capsys, *shlex.split(command)[1:])
    binance.answer = lambda: reset()
    printed, line = ends(capsys, 3, "ETH", "--no-wait")
    assert printed == ""
    assert f"The exchange of ETH {UNKNOWN}: No usable response" in line
    assert server.requests[-1].method == "POST"


@pytest.mark.parametrize("answer", [response(b"<html>", 503), reset()], ids=["503", "reset"])
@pytest.mark.parametrize("listed", [["ETH", "币安人生"], ["ETH"], []])
def test_an_unknown_outcome_is_confirmed(
    capsys: Captured, server: WireServer, binance: Binance, answer: Answer, listed: list[str]
) -> None:
    binance.answer, binance.listed = lambda: answer, listed
    printed, line = ends(capsys, 0 if len(listed) == 2 else 4, "--all")
    assert sent(server) == ["ETH,币安人生"]
    for name in listed:
        assert f" {name} " in printed
    if len(listed) == 2:
        assert f"The exchange of ETH, 币安人生 {UNKNOWN}: " in line
        assert line.endswith("Reading the history.\n")
        assert server.requests[-1].path == HISTORY_PATH
    else:
        assert ("ETH" in line) == ("ETH" not in listed)
        end = "币安人生 did not happen: the history does not list it. You can send it again. "
        assert f"{end}HTTP 503. Binance failed.\n" in line or f"{end}No usable response" in line


@pytest.mark.parametrize("is_accepted", [True, False])
def test_what_cannot_be_confirmed_stays_unknown(
    capsys: Captured, server: WireServer, binance: Binance, tmp_path: Path, is_accepted: bool
) -> None:
    binance.answer = (lambda: response(EXCHANGE.body)) if is_accepted else reset
    binance.history = reset()
    file = tmp_path / "second account.env"
    file.write_text(f"BINANCE_API_KEY={API_KEY}\nBINANCE_API_SECRET={API_SECRET}\n")
    options = ["--env-file", str(file), "--base-url", server.url, "--timeout", "7.5"]
    printed, line = ends(capsys, 3, "ETH", *options)
    assert printed == ""
    if is_accepted:
        problem = "Binance accepted the exchange of ETH, but its result is not known"
        end = " It lists the result.\n"
    else:
        problem = f"The exchange of ETH {UNKNOWN}"
        end = (
            " If it lists the exchange, it took effect; if not, it did not happen and can be sent"
            " again.\n"
        )
    assert f"{problem}: No usable response" in line
    assert line.endswith(f".{end}")
    assert ("Do not send it again yet. After 20" in line) != is_accepted
    assert "Try again" not in line
    # The advice works in a shell, and in the other account.
    _, command, _ = line.split("`")
    # The result is conclusive only after the time that ends the period.
    assert f"After {shlex.split(command)[5]}, run: " in line
    binance.history = None
    done = shell(command.replace("binance-small-liability", '"$0"', 1))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\nETH\t") == 1
    assert shlex.split(command)[-6:] == options


def test_an_accepted_exchange_that_is_not_listed_stays_unknown(
    capsys: Captured, binance: Binance
) -> None:
    binance.listed = []
    printed, line = ends(capsys, 3, "ETH")
    assert printed == ""
    assert "its result is not known: the history does not list ETH. Do not send it again. " in line


def test_the_printed_command_lacks_the_password_of_a_proxy() -> None:
    options = Namespace()
    words = ["--insecure-http", "--proxy", "http://user:hunter2@proxy:3128"]
    parse(["exchange", "ETH", *words], options)
    assert given(options) == ["--insecure-http", "--proxy", "http://***@proxy:3128"]


def test_nothing_is_sent_if_the_debts_cannot_be_shown(server: WireServer) -> None:
    done = shell('"$0" exchange ETH --yes >/dev/full')
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert sent(server) == []


def test_a_result_that_cannot_be_printed_is_no_failure(
    server: WireServer, binance: Binance
) -> None:
    ours, theirs = pty.openpty()

    def close_terminal() -> bytes:
        os.close(ours)
        return response(EXCHANGE.body)

    binance.answer = close_terminal
    command = (SHELL_COMMAND, "exchange", "ETH", "--yes")
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        _, line = process.communicate(timeout=20)
    assert process.returncode == 3
    assert_one_line(line)
    assert "accepted the exchange of ETH, but cannot write: Input/output error" in line
    assert sent(server) == ["ETH"]


class Interrupting(Binance):
    """Sends signals to the command when a request arrives, and does not answer it."""

    def __init__(self, arrives: str, *numbers: signal.Signals) -> None:
        super().__init__()
        self.process: subprocess.Popen[str] | None = None
        self.arrives = arrives
        self.numbers = numbers

    def __call__(self, request: Request) -> Answer:
        answer = super().__call__(request)
        if self.arrives != f"{request.method} {request.path}":
            return answer

        def interrupt(connection: socket.socket) -> None:
            for number in self.numbers:
                assert self.process is not None
                self.process.send_signal(number)
            connection.recv(1)

        return interrupt

    def ends(self, script: str = 'exec "$0" exchange ETH --yes') -> tuple[int, str, str]:
        """The exit code and the output of the command."""
        with serving(self) as server:
            environment = {**os.environ, "BINANCE_BASE_URL": server.url}
            with running(
                *("bash", "-c", script, SHELL_COMMAND),
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            ) as self.process:
                printed, written = self.process.communicate(timeout=60)
            return self.process.returncode, printed, written


def test_a_signal_before_the_exchange_ends_the_command_silently() -> None:
    binance = Interrupting("GET " + LIST_COINS.path, signal.SIGTERM)
    assert binance.ends() == (128 + signal.SIGTERM, "", "")


@pytest.mark.parametrize(
    ("arrives", "number"),
    [
        *(("POST " + LIST_COINS.path, number) for number in SIGNALS),
        ("GET " + HISTORY_PATH, signal.SIGTERM),
    ],
)
def test_a_signal_after_the_exchange_leaves_its_outcome_unknown(
    arrives: str, number: signal.Signals
) -> None:
    # A shell and the kernel may both send one.
    code, _, line = Interrupting(arrives, number, signal.SIGHUP, number).ends()
    assert code == 3
    assert_one_line(line)
    known = UNKNOWN if arrives.startswith("POST") else "but its result is not known"
    assert re.search(f"ETH,? {known}: interrupted by ({number.name}|SIGHUP). Do not", line)


def test_a_closed_terminal_does_not_change_the_exit_code() -> None:
    script = 'exec 2>/dev/full; exec "$0" exchange ETH --yes'
    code, _, _ = Interrupting("POST " + LIST_COINS.path, signal.SIGHUP).ends(script)
    assert code == 3


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    binance = Interrupting("nothing")

    def hang_up() -> bytes:
        assert binance.process is not None
        binance.process.send_signal(signal.SIGHUP)
        return response(EXCHANGE.body)

    binance.answer = hang_up
    code, printed, line = binance.ends("trap '' HUP; exec \"$0\" exchange ETH --yes")
    assert (code, line) == (0, "")
    assert ROW["amount"] in printed


class TestInATerminal:
    def answers(self, answer: bytes | None) -> tuple[int, str]:
        """Runs the command in a terminal and answers its question, or presses Ctrl-C."""
        ours, theirs = pty.openpty()
        command = (SHELL_COMMAND, "exchange", "ETH")
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            printed = b""
            while b"[y/N] " not in printed:
                printed += os.read(ours, 10_000)
            if answer is None:
                process.send_signal(signal.SIGINT)
            else:
                os.write(ours, answer)
            # Linux reports the end of a terminal as an error.
            try:
                while read := os.read(ours, 10_000):
                    printed += read
            except OSError:
                pass
        os.close(ours)
        return process.returncode, printed.decode()

    def test_yes(self, server: WireServer) -> None:
        code, printed = self.answers(b"Y\n")
        assert code == 0, printed
        assert printed.index(COIN["interest"]) < printed.index("Exchange these debts?")
        assert sent(server) == ["ETH"]

    @pytest.mark.parametrize("answer", [b"\n", b"yo\n", b"\x04"])
    def test_anything_else_is_no(self, server: WireServer, answer: bytes) -> None:
        code, printed = self.answers(answer)
        assert code == 1
        assert printed.endswith("\nbinance-small-liability: Nothing was exchanged.\r\n")
        assert sent(server) == []

    def test_an_interrupt_is_no(self, server: WireServer) -> None:
        code, printed = self.answers(None)
        assert code == 130
        last = printed.partition("[y/N] ")[2]
        assert last == "\r\nbinance-small-liability: Nothing was exchanged.\r\n"
        assert sent(server) == []
