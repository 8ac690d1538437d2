"""`exchange` shows the debts, asks, sends once, and finds out what became of it."""

import json
import os
import pty
import re
import shlex
import signal
import socket
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from binance_small_liability import operations
from binance_small_liability._io import real_time
from binance_small_liability.cli.connection import given
from binance_small_liability.cli.main import run
from binance_small_liability.cli.parser import parse

from tests.cli.command import Captured, Forks, assert_one_line, fails, succeeds
from tests.conftest import API_KEY, API_SECRET
from tests.wire import Answer, Request, WireServer, reset, response, serving
from tools.contract import today
from tools.operations import EXCHANGE, HISTORY_PATH, LIST_COINS, LIST_EXCHANGES, TIME_NAME

COIN = json.loads(LIST_COINS.body)[0]
ROW = json.loads(LIST_EXCHANGES.body)["rows"][0]
MOST = operations.exchange.parameters["asset_names"].maximum or 0
HOURS = today()["paths"][LIST_COINS.path]["post"]["x-rules"]["once-in-hours"]
UNKNOWN = "may have taken effect"


class Binance:
    """An account.

    Attributes:
        coins: what `list` shows.
        answers: what a request is answered with instead: "list", "exchange", or "history".
        listed: the coins that the history lists after an exchange; None: those exchanged.
        rows: the history.
    """

    def __init__(self) -> None:
        self.coins = [{**COIN, "asset": name} for name in ("ETH", "币安人生")]
        self.answers: dict[str, Answer] = {}
        self.listed: list[str] | None = None
        self.rows: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Answer:
        query = {name: unquote(value) for name, value in request.query}
        if request.method == "POST":
            names = query["assetNames"].split(",") if self.listed is None else self.listed
            now = real_time.unix_ns() // 1_000_000
            self.rows += [{**ROW, "asset": name, TIME_NAME: now} for name in names]
            return self.answers.get("exchange", response(EXCHANGE.body))
        if request.path == HISTORY_PATH:
            start, end = int(query["startTime"]), int(query["endTime"])
            rows = [row for row in self.rows if start <= row[TIME_NAME] <= end]
            return self.answers.get("history", response({"total": len(rows), "rows": rows}))
        return self.answers.get("list", response(self.coins))


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


def test_coins_that_are_named(capsys: Captured, server: WireServer) -> None:
    printed = succeeds(capsys, "exchange", "币安人生", "eth", "ETH", "--yes")
    assert sent(server) == ["币安人生,ETH"]
    shown, result = printed.split("Your new debt will be in a coin that Binance chooses.")
    assert COIN["interest"] in shown
    assert result.startswith(f" The values above are in {COIN['liabilityAsset']}.\n")
    names = {*today()["components"]["schemas"]["Exchange"]["required"]} - {"asset", TIME_NAME}
    assert {result.count(str(ROW[name])) for name in names} == {2}


@pytest.mark.parametrize(
    "answer", [response(b""), response({"code": -1, "msg": "\x1b"}, 400)], ids=len
)
def test_no_text_controls_the_terminal(
    capsys: Captured, binance: Binance, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    binance.coins = [{**COIN, "liabilityAsset": "\x1b[31m\u202e"}]
    binance.answers["exchange"] = answer
    monkeypatch.setitem(ROW, "targetAsset", "\x1b[31m\u202e")
    run(["exchange", "--all", "--yes"])
    shown = "".join(capsys.readouterr())
    assert [sign for sign in shown if not sign.isprintable() and sign != "\n"] == []
    assert shown.count(r"\x1b") >= 2


def test_no_debts(capsys: Captured, server: WireServer, binance: Binance) -> None:
    binance.coins = []
    printed = succeeds(capsys, "exchange", "--all", "--yes")
    assert printed == "There are no small debts to exchange.\n"
    assert sent(server) == []


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ("--all", "needs --yes"),
        ("ETH", "needs --yes"),
        ("--yes", "name the coins to exchange, or give --all"),
        ("--yes ETH --all", "name the coins to exchange or give --all, not both"),
        ("--yes ETH --first 1", "--first needs --all"),
        *(
            (f"--yes --all --first {n}", f"--first: must be a whole number from 1 to {MOST};")
            for n in ("0", f"{MOST + 1}", "x", "²")
        ),
        ("--yes ETH,BTC", "separate coins with spaces, without commas or quotes: ETH BTC"),
        ("--yes 'ETH BTC'", "separate coins with spaces, without commas or quotes: ETH BTC"),
        (
            f"--yes {'A ' * (MOST + 1)}",
            f"at most {MOST} coins at a time, not {MOST + 1}; name at most {MOST} of: A A",
        ),
    ],
)
def test_wrong_use(capsys: Captured, server: WireServer, arguments: str, wanted: str) -> None:
    assert wanted in fails(capsys, 2, "exchange", *shlex.split(arguments))
    assert server.requests == []


def test_a_coin_without_a_small_debt(capsys: Captured, server: WireServer) -> None:
    line = fails(capsys, 2, "exchange", "ETH", "btcc", "xmr", "--yes")
    assert "There is no small debt in btcc, xmr; there are small debts in: ETH, 币安" in line
    assert fails(capsys, 2, "exchange", "all", "--yes").endswith("did you mean --all?\n")
    assert sent(server) == []


def test_more_coins_than_one_exchange_takes(
    capsys: Captured, server: WireServer, binance: Binance
) -> None:
    names = [f"A{number}" for number in range(MOST + 1)]
    binance.coins = [{**COIN, "asset": name} for name in names]
    line = fails(capsys, 2, "exchange", "--all", "--yes")
    assert f"at most {MOST} coins at a time, not {MOST + 1}; add --first {MOST}" in line
    assert sent(server) == []
    printed = succeeds(capsys, "exchange", "--all", "--yes", "--first", f"{MOST}")
    assert sent(server) == [",".join(names[:MOST])]
    assert f" {names[MOST]} " not in printed


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (-3022, "-3022: Pending. Look the code up: https://"),
        (-3007, f"Binance allows one exchange every {HOURS} hours; `history` shows"),
        (None, "No usable response from 127.0.0.1"),
    ],
)
def test_a_failure_that_exchanges_nothing(
    capsys: Captured,
    server: WireServer,
    binance: Binance,
    monkeypatch: pytest.MonkeyPatch,
    code: int | None,
    wanted: str,
) -> None:
    if code is None:
        monkeypatch.setenv("BINANCE_BASE_URL", "http://127.0.0.1:1")
    binance.answers["exchange"] = response({"code": code, "msg": "Pending."}, 400)
    printed, line = ends(capsys, 1, "ETH")
    assert printed == ""
    assert wanted in line
    assert "Try again" not in line
    assert line.endswith(" Nothing was exchanged.\n")
    assert sent(server) == ["ETH"] * (code is not None)


def test_without_waiting_it_ends_after_the_answer(
    capsys: Captured, server: WireServer, binance: Binance
) -> None:
    printed = succeeds(capsys, "exchange", "ETH", "--yes", "--no-wait")
    _, _, command = printed.rpartition(
        "Binance accepted the exchange of ETH. The result is listed by: "
    )
    assert server.requests[-1].method == "POST"
    assert "\nETH\t" in succeeds(capsys, *shlex.split(command)[1:])
    binance.answers["exchange"] = reset()
    printed, line = ends(capsys, 3, "ETH", "--no-wait")
    assert printed == ""
    assert f"The exchange of ETH {UNKNOWN}: No usable response" in line
    assert server.requests[-1].method == "POST"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(response(b"<html>", 503), "HTTP 503. Binance failed.\n"), (reset(), "No usable response")],
    ids=["503", "reset"],
)
@pytest.mark.parametrize("listed", [["ETH", "币安人生"], ["ETH"], []])
def test_an_unknown_outcome_is_confirmed(
    capsys: Captured,
    server: WireServer,
    binance: Binance,
    answer: Answer,
    reason: str,
    listed: list[str],
) -> None:
    binance.answers["exchange"], binance.listed = answer, listed
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
        assert f"{end}{reason}" in line


@pytest.mark.parametrize("is_accepted", [True, False])
def test_what_cannot_be_confirmed_stays_unknown(
    capsys: Captured, server: WireServer, binance: Binance, tmp_path: Path, is_accepted: bool
) -> None:
    binance.answers = (
        {"history": reset()} if is_accepted else dict.fromkeys(("exchange", "history"), reset())
    )
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
    program, *command = shlex.split(line.split("`")[1])
    # The result is conclusive only after the time that ends the period.
    assert f"After {command[4]}, run: " in line
    binance.answers = {}
    assert program == "binance-small-liability"
    assert succeeds(capsys, *command).count("\nETH\t") == 1
    assert command[-6:] == options


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


def test_nothing_is_sent_if_the_debts_cannot_be_shown(forks: Forks, server: WireServer) -> None:
    with Path("/dev/full").open("w") as full:
        code, _, line = forks.run("exchange", "ETH", "--yes", stdout=full.fileno())
    assert code == 1
    assert "cannot write" in line
    assert sent(server) == []


def test_a_result_that_cannot_be_printed_is_no_failure(
    forks: Forks, server: WireServer, binance: Binance
) -> None:
    ours, theirs = pty.openpty()

    def close_terminal(connection: socket.socket) -> None:
        os.close(ours)
        connection.sendall(response(EXCHANGE.body))

    binance.answers["exchange"] = close_terminal
    code, _, line = forks.run("exchange", "ETH", "--yes", stdout=theirs)
    os.close(theirs)
    assert code == 3
    assert_one_line(line)
    assert "accepted the exchange of ETH, but cannot write: Input/output error" in line
    assert sent(server) == ["ETH"]


def receives(*numbers: int, pid: int, answer: bytes | None = None) -> Callable[..., None]:
    """Sends signals to a process instead of an answer, or before it."""

    def act(connection: socket.socket) -> None:
        with suppress(ProcessLookupError):  # it may end at the first one
            for number in numbers:
                os.kill(pid, number)
        if answer is None:
            connection.recv(1)
        else:
            connection.sendall(answer)

    return act


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_exchange_ends_the_command_silently(
    forks: Forks, binance: Binance, number: signal.Signals
) -> None:
    binance.answers["list"] = receives(number, pid=forks.pid)
    assert forks.run("exchange", "ETH", "--yes") == (128 + number, "", "")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("at", ["exchange", "history"])
def test_a_signal_after_the_exchange_leaves_its_outcome_unknown(
    forks: Forks, binance: Binance, at: str, number: signal.Signals
) -> None:
    # A shell and the kernel may both send one.
    binance.answers[at] = receives(number, signal.SIGHUP, number, pid=forks.pid)
    code, _, line = forks.run("exchange", "ETH", "--yes")
    assert code == 3
    assert_one_line(line)
    known = UNKNOWN if at == "exchange" else "but its result is not known"
    assert re.search(f"ETH,? {known}: interrupted by ({number.name}|SIGHUP). Do not", line)


def test_a_closed_terminal_does_not_change_the_exit_code(forks: Forks, binance: Binance) -> None:
    binance.answers["exchange"] = receives(signal.SIGHUP, pid=forks.pid)
    with Path("/dev/full").open("w") as full:
        code, _, _ = forks.run("exchange", "ETH", "--yes", stderr=full.fileno())
    assert code == 3


def test_a_signal_that_is_ignored_stays_ignored(forks: Forks, binance: Binance) -> None:
    answer = response(EXCHANGE.body)
    binance.answers["exchange"] = receives(signal.SIGHUP, pid=forks.pid, answer=answer)
    code, printed, line = forks.run("exchange", "ETH", "--yes", ignored=[signal.SIGHUP])
    assert (code, line) == (0, "")
    assert ROW["amount"] in printed


def asked(forks: Forks, answer: bytes | signal.Signals) -> tuple[int, str, str]:
    """Answers the question in a terminal: the exit code, and what is shown until it and after it.

    A signal is sent instead of an answer.
    """
    ours, theirs = pty.openpty()
    forks.start(["exchange", "ETH"], theirs, theirs, theirs)
    os.close(theirs)
    printed = b""
    while b"[y/N] " not in printed:
        printed += os.read(ours, 10_000)
    if isinstance(answer, signal.Signals):
        os.kill(forks.pid, answer)
    else:
        os.write(ours, answer)
    code = forks.exit_code()
    # Linux reports the end of a terminal as an error.
    with suppress(OSError):
        while read := os.read(ours, 10_000):
            printed += read
    os.close(ours)
    before, question, after = printed.decode().partition("Exchange these debts? [y/N] ")
    assert question
    return code, before, after


def test_yes_in_a_terminal(forks: Forks, server: WireServer) -> None:
    code, before, after = asked(forks, b"Y\n")
    assert code == 0, after
    assert COIN["interest"] in before
    assert sent(server) == ["ETH"]


@pytest.mark.parametrize("answer", [b"\n", b"yo\n", b"\x04", *SIGNALS])
def test_anything_else_in_a_terminal_is_no(
    forks: Forks, server: WireServer, answer: bytes | signal.Signals
) -> None:
    code, _, after = asked(forks, answer)
    said = "\r\nbinance-small-liability: Nothing was exchanged.\r\n"
    if isinstance(answer, signal.Signals):
        assert (code, after) == (128 + answer, said)
    else:
        assert code == 1
        assert after.endswith(said)
    assert sent(server) == []
