"""`exchange` shows the debts, asks, sends once, and reports an unknown outcome."""

import os
import pty
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from binance_small_liability.cli.main import run

from tests.cli.command import (
    COINS,
    SHELL_COMMAND,
    Captured,
    assert_one_line,
    fails,
    shell,
    succeeds,
)
from tests.conftest import running
from tests.wire import Answer, Request, WireServer, reset, response, serving
from tools.operations import EXCHANGE

UNKNOWN = "may have taken effect"
MOST = EXCHANGE.generated.parameters["asset_names"].maximum or 0
TOO_MANY = f"at most {MOST} coins at a time, not {MOST + 1}; name at most {MOST}"


class Binance:
    """Lists `coins`, and answers an exchange with what `exchanged` returns."""

    def __init__(self) -> None:
        self.coins = COINS
        self.exchanged: Callable[[], Answer] = lambda: response(b"")

    def __call__(self, request: Request) -> Answer:
        return self.exchanged() if request.method == "POST" else response(self.coins)


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


class TestWithoutATerminal:
    def test_coins_that_are_named(self, capsys: Captured, server: WireServer) -> None:
        printed = succeeds(capsys, "exchange", "币安人生", "eth", "ETH", "--yes")
        assert sent(server) == ["币安人生,ETH"]
        for words in ("0.100", "币安人生", "values these debts in USDC, USDT", "accepted"):
            assert words in printed

    def test_all(self, capsys: Captured, server: WireServer) -> None:
        succeeds(capsys, "exchange", "--all", "--yes")
        assert sent(server) == ["ETH,币安人生"]

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
            (["ETH", "--all"], "name the coins to exchange, or give --all"),
            ([f"A{i}" for i in range(MOST + 1)], TOO_MANY),
        ],
    )
    def test_wrong_use(
        self, capsys: Captured, server: WireServer, arguments: list[str], wanted: str
    ) -> None:
        assert wanted in fails(capsys, 2, "exchange", *arguments, "--yes")
        assert server.requests == []

    def test_a_coin_without_a_small_debt(self, capsys: Captured, server: WireServer) -> None:
        line = fails(capsys, 2, "exchange", "ETH", "BTC", "--yes")
        assert "in BTC; coins that `list` shows: ETH 币安人生" in line
        assert sent(server) == []

    def test_more_than_ten_coins(
        self, capsys: Captured, server: WireServer, binance: Binance
    ) -> None:
        binance.coins = [COINS[0] | {"asset": f"A{i}"} for i in range(MOST + 1)]
        line = fails(capsys, 2, "exchange", "--all", "--yes")
        assert f"{TOO_MANY} of: A0 A1 " in line
        assert sent(server) == []


def fails_after_the_table(capsys: Captured, code: int, *arguments: str) -> str:
    assert run(arguments) == code
    printed, line = capsys.readouterr()
    assert "accepted" not in printed
    assert_one_line(line)
    return line


def test_a_refusal(capsys: Captured, server: WireServer, binance: Binance) -> None:
    binance.exchanged = lambda: response({"code": -3007, "msg": "Pending."}, 400)
    line = fails_after_the_table(capsys, 1, "exchange", "ETH", "--yes")
    assert "-3007" in line
    assert "Try again" not in line
    assert len(sent(server)) == 1


@pytest.mark.parametrize("answer", [response(b"<html>", 503), reset()], ids=["503", "reset"])
def test_an_unknown_outcome(
    capsys: Captured, server: WireServer, binance: Binance, answer: Answer
) -> None:
    binance.exchanged = lambda: answer
    before = datetime.now(UTC)
    line = fails_after_the_table(capsys, 3, "exchange", "ETH", "币安人生", "--yes")
    assert len(sent(server)) == 1
    assert f"ETH, 币安人生 {UNKNOWN}" in line
    assert "Do not repeat it" in line
    assert "Try again" not in line
    # The advice works: `history` reads the time, and the time is early enough.
    _, _, since = line.rpartition("history --since ")
    assert timedelta(seconds=-2) < datetime.fromisoformat(since.strip()) - before
    assert datetime.fromisoformat(since.strip()) < datetime.now(UTC)


def test_an_interrupt_leaves_the_outcome_unknown(server: WireServer, binance: Binance) -> None:
    def wait(connection: socket.socket) -> None:
        process.send_signal(signal.SIGINT)
        connection.recv(1)

    binance.exchanged = lambda: wait
    command = (SHELL_COMMAND, "exchange", "ETH", "--yes")
    with running(*command, stderr=subprocess.PIPE, text=True) as process:
        _, line = process.communicate(timeout=20)
    assert process.returncode == 3
    assert_one_line(line)
    assert f"ETH {UNKNOWN}: KeyboardInterrupt" in line
    assert len(sent(server)) == 1


def test_nothing_is_sent_if_the_debts_cannot_be_shown(server: WireServer) -> None:
    done = shell('"$0" exchange ETH --yes >/dev/full')
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert sent(server) == []


def test_a_success_that_cannot_be_printed(server: WireServer, binance: Binance) -> None:
    ours, theirs = pty.openpty()

    def close_terminal() -> bytes:
        os.close(ours)
        return response(b"")

    binance.exchanged = close_terminal
    command = (SHELL_COMMAND, "exchange", "ETH", "--yes")
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        _, line = process.communicate(timeout=20)
    assert process.returncode == 1
    assert_one_line(line)
    assert "Binance accepted the exchange of ETH, but cannot write: Input/output error" in line
    assert sent(server) == ["ETH"]


class TestInATerminal:
    def answers(self, answer: bytes) -> tuple[int, str]:
        """Runs the command in a terminal and answers its question."""
        ours, theirs = pty.openpty()
        command = (SHELL_COMMAND, "exchange", "ETH")
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            printed = b""
            while b"[y/N] " not in printed:
                printed += os.read(ours, 10_000)
            os.write(ours, answer)
            # Linux reports the end of a terminal as an error.
            try:
                while read := os.read(ours, 10_000):
                    printed += read
            except OSError:
                pass
        os.close(ours)
        return process.returncode, printed.decode()

    @pytest.mark.parametrize("answer", [b"y\n", b"Yes\n"])
    def test_yes(self, server: WireServer, answer: bytes) -> None:
        code, printed = self.answers(answer)
        assert code == 0, printed
        assert printed.index("0.100") < printed.index("Exchange these debts?")
        assert sent(server) == ["ETH"]

    @pytest.mark.parametrize("answer", [b"\n", b"n\n", b"yo\n", b"\x04"])
    def test_anything_else_is_no(self, server: WireServer, answer: bytes) -> None:
        code, printed = self.answers(answer)
        assert code == 1
        assert "nothing was exchanged" in printed
        assert sent(server) == []

    def test_an_interrupt_is_no(self, server: WireServer) -> None:
        ours, theirs = pty.openpty()
        command = (SHELL_COMMAND, "exchange", "ETH")
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
        ) as process:
            os.close(theirs)
            printed = b""
            while b"[y/N] " not in printed:
                printed += os.read(ours, 10_000)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20)[1] == b""
        os.close(ours)
        assert process.returncode == 130
        assert sent(server) == []
