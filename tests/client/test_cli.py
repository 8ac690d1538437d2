"""The command line: answers on stdout, one line on stderr for every failure, and an exit code."""

import csv
import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from binance_small_liability import __main__, _cli, _time
from binance_small_liability._secrets import VARIABLES

from tests.conftest import API_KEY, API_SECRET, running
from tests.wire import response, serving

SHELL_COMMAND = str(Path(sys.executable).with_name("binance-small-liability"))
COINS: list[dict[str, Any]] = [
    {
        "asset": "ETH",
        "interest": "0.00000001",
        "principal": "0.100",
        "liabilityAsset": "USDT",
        "liabilityQty": "123456789012.123456789012345678",
    },
    {
        "asset": "币安人生",
        "interest": "0",
        "principal": "12",
        "liabilityAsset": "USDC",
        "liabilityQty": 3,
    },
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES.values():
        # Set first, so that what an --env-file sets is undone, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", API_SECRET)
    with _time.skipping():
        yield


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # With a field that the contract lacks, of which the log warns.
    with serving(response([coin | {"new": 1} for coin in COINS])) as server:
        monkeypatch.setenv("BINANCE_BASE_URL", server.url)
        yield server.url


Captured = pytest.CaptureFixture[str]


def fails(capsys: Captured, code: int, *arguments: str) -> str:
    """Runs a command that must fail as every command fails; returns what it said."""
    assert _cli.run(arguments) == code
    printed, said = capsys.readouterr()
    assert printed == ""
    assert said.startswith("binance-small-liability: ")
    assert said.count("\n") == 1
    assert said.endswith("\n")
    assert "Traceback" not in said
    return said


def lists(capsys: Captured, *arguments: str) -> str:
    assert _cli.run(["list", *arguments]) == 0
    printed, said = capsys.readouterr()
    assert said == ""
    return printed


@pytest.mark.usefixtures("url")
class TestFormats:
    # A field that the contract gains is one more column at the end.
    def test_tsv_where_no_terminal_reads_it(self, capsys: Captured) -> None:
        lines = lists(capsys).splitlines()
        assert [line.split("\t")[:5] for line in lines] == [
            ["asset", "principal", "interest", "liability_asset", "liability_qty"],
            ["ETH", "0.100", "0.00000001", "USDT", "123456789012.123456789012345678"],
            ["币安人生", "12", "0", "USDC", "3"],
        ]

    def test_table(self, capsys: Captured) -> None:
        head, first, second = lists(capsys, "--format", "table").splitlines()
        wanted = (
            " asset     principal    interest  liability_asset                    liability_qty"
        )
        assert head.startswith(wanted)
        wanted = (
            " ETH           0.100  0.00000001  USDT             123456789012.123456789012345678"
        )
        assert first.startswith(wanted)
        wanted = (
            " 币安人生         12           0  USDC                                           3"
        )
        assert second.startswith(wanted)

    def test_json_keeps_every_digit_in_strings(self, capsys: Captured) -> None:
        text = lists(capsys, "--format", "json")
        # Whatever the character set of the reader is.
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

    def test_csv(self, capsys: Captured) -> None:
        rows = list(csv.DictReader(io.StringIO(lists(capsys, "--format", "csv"))))
        assert rows[0]["liability_qty"] == "123456789012.123456789012345678"
        assert [row["asset"] for row in rows] == ["ETH", "币安人生"]

    def test_only_the_assets_asked_for(self, capsys: Captured) -> None:
        assert "币安人生" not in lists(capsys, "--asset", "eth")
        assert len(lists(capsys, "--asset", "ETH", "--asset", "币安人生").splitlines()) == 3
        assert lists(capsys, "--asset", "BTC").count("\n") == 1
        assert json.loads(lists(capsys, "--asset", "BTC", "--format", "json")) == []
        assert "no small debts" in lists(capsys, "--asset", "BTC", "--format", "table")

    def test_a_terminal_gets_a_table(self) -> None:
        ours, theirs = pty.openpty()
        subprocess.run([SHELL_COMMAND, "list"], stdout=theirs, check=True)
        os.close(theirs)
        printed = os.read(ours, 10_000).decode()
        os.close(ours)
        assert " ETH           0.100  0.00000001" in printed

    def test_what_the_character_set_lacks_is_escaped(self) -> None:
        done = subprocess.run(
            [SHELL_COMMAND, "list"],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
        assert rb"\u5e01\u5b89\u4eba\u751f" in done.stdout

    def test_a_reader_that_leaves_early_is_no_failure(self) -> None:
        done = subprocess.run(
            ["bash", "-c", '"$0" list | true; exit "${PIPESTATUS[0]}"', SHELL_COMMAND],
            check=False,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["table", "tsv", "csv", "json"])
def test_control_characters_do_not_reach_the_terminal(capsys: Captured, form: str) -> None:
    evil = "A\x1b[2J\x9b\u202e\u2028\t\ud800\x7f"
    with serving(response([{**COINS[0], "asset": evil}])) as server:
        text = lists(capsys, "--format", form, "--base-url", server.url)
    hidden = [c for c in text if not c.isprintable() and c not in "\t\n"]
    assert hidden == []
    if form == "json":
        assert json.loads(text)[0]["asset"] == evil
    else:
        assert r"A\x1b[2J\x9b\u202e\u2028\t\ud800\x7f" in text


def test_an_exponent_that_is_too_long_to_write_out(capsys: Captured) -> None:
    body = json.dumps([COINS[0]]).replace('"0.100"', "1E+999999999").encode()
    with serving(response(body)) as server:
        assert "\t1E+999999999\t" in lists(capsys, "--base-url", server.url)


REFUSALS = [
    (401, {"code": -2015, "msg": "No."}, {}, ["-2015", "API key", "IP addresses", "permissions"]),
    (400, {"code": -1022, "msg": "No."}, {}, ["-1022", "secret"]),
    (400, {"code": -1021, "msg": "No."}, {}, ["-1021", "clock"]),
    (418, {"code": -1003, "msg": "No."}, {"Retry-After": "3600"}, ["banned", "Try again at 20"]),
    (429, {"code": -1003, "msg": "No."}, {"Retry-After": "1e99"}, ["HTTP 429"]),
    (403, b"<html>", {}, ["HTTP 403", "firewall"]),
    (404, b"<html>", {}, ["HTTP 404", "Check the base URL"]),
    (503, b"<html>", {}, ["HTTP 503", "the outcome is unknown", "Try again later"]),
    (400, {"code": -3003, "msg": "No."}, {}, ["-3003", "Open a cross-margin account"]),
    (400, {"code": -3022, "msg": "No."}, {}, ["-3022", "/error-code"]),
    (200, b"<html>", {}, ["not JSON", "Check the base URL"]),
    (400, {"code": -1, "msg": "two\nlines \x1b[2J" + "x" * 9999}, {}, [r"two lines \x1b[2J"]),
]


@pytest.mark.parametrize(("status", "body", "headers", "said"), REFUSALS)
def test_a_refusal_is_one_line_that_says_what_to_do(
    capsys: Captured,
    status: int,
    body: dict[str, Any] | bytes,
    headers: dict[str, str],
    said: list[str],
) -> None:
    with serving(response(body, status, headers)) as server:
        line = fails(capsys, 1, "list", "--base-url", server.url)
    for words in said:
        assert words in line
    assert len(line) < 600


def test_no_network(capsys: Captured) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert "Check the network and the base URL" in fails(
            capsys, 1, "list", "--base-url", url, "--timeout", "5"
        )


def test_no_key(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINANCE_API_KEY")
    line = fails(capsys, 2, "list")
    assert "BINANCE_API_KEY is missing" in line
    assert "--env-file" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["lst"], "invalid choice"),
        (["list", "--format", "xml"], "--format"),
        (["list", "--recv-window", "soon"], "--recv-window"),
        (["list", "--recv-window", "60001"], "--recv-window must be a whole number"),
        (["list", "--timeout", "0"], "--timeout must be a number of seconds above 0"),
        (["list", "--base-url", "http://example.com"], "--base-url must use https"),
        (["list", "--env-file", "/nowhere"], "--env-file /nowhere cannot be read: No such file"),
        (["list", "--env-file", "/"], "--env-file / cannot be read: Is a directory"),
        (["list", "--as", "ETH"], "--as is not known"),
        (["-v", "list"], "-v is not known here; options stand after the command"),
        (["list", "ETH"], "an argument is not known"),
        (["completion", "cmd"], "invalid choice"),
    ],
)
def test_wrong_use(capsys: Captured, arguments: list[str], said: str) -> None:
    assert said in fails(capsys, 2, *arguments)


def test_a_secret_in_the_arguments_is_refused_and_not_repeated(capsys: Captured) -> None:
    for arguments in (["--api-secret", "hush"], ["--api-secret=hush"]):
        line = fails(capsys, 2, "list", *arguments)
        assert "--api-secret is not known here; options stand after the command" in line
        assert "hush" not in line


def test_verbose_tells_all(capsys: Captured) -> None:
    body = {"code": -2015, "msg": "No."}
    with serving(response(body, 401, {"X-SAPI-USED-IP-WEIGHT-1M": "7"})) as server:
        assert _cli.run(["list", "-v", "--base-url", server.url]) == 1
    printed, said = capsys.readouterr()
    assert printed == ""
    for words in ("status: 401", "attempts: 1", "IP-WEIGHT-1M: 7", "Traceback (most recent call"):
        assert words in said
    assert API_KEY not in said
    assert API_SECRET not in said


def test_a_bug_is_one_line_too(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cli, "render", lambda *_: 1 // 0)
    with serving(response([])) as server:
        assert "ZeroDivisionError" in fails(capsys, 1, "list", "--base-url", server.url)


class TestEnvFile:
    def write(self, folder: Path, text: str | bytes) -> str:
        path = folder / "test.env"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def test_takes_the_place_of_the_environment(self, capsys: Captured, tmp_path: Path) -> None:
        with serving(response([])) as server:
            text = (
                "# a comment\n\n"
                'export BINANCE_API_KEY="from-the-file"\r\n'
                "BINANCE_API_SECRET = 's=ecret'\n"
                f"BINANCE_BASE_URL={server.url}\n"
                "PATH=/nowhere\n"
            )
            lists(capsys, "--env-file", self.write(tmp_path, text))
            assert server.requests[0].header("X-MBX-APIKEY") == "from-the-file"
        assert os.environ["BINANCE_API_SECRET"] == "s=ecret"
        assert os.environ["PATH"] != "/nowhere"

    def test_its_key_never_meets_a_secret_of_the_environment(
        self, capsys: Captured, tmp_path: Path
    ) -> None:
        file = self.write(tmp_path, "BINANCE_API_KEY=key\n")
        assert "BINANCE_API_SECRET is missing" in fails(capsys, 2, "list", "--env-file", file)

    @pytest.mark.parametrize(
        "text", ["BINANCE_API_KEY: hush\n", b"hush \xff=\n", "BINANCE_API_KEY=hush\0\n"]
    )
    def test_its_faults_are_told_without_its_values(
        self, capsys: Captured, tmp_path: Path, text: str | bytes
    ) -> None:
        line = fails(capsys, 2, "list", "--env-file", self.write(tmp_path, text))
        assert "line 1 is not NAME=value" in line or "not UTF-8" in line
        assert "hush" not in line


def test_an_interrupt_ends_it_without_a_word() -> None:
    def wait(connection: socket.socket) -> None:
        process.send_signal(signal.SIGINT)
        connection.recv(1)

    with (
        serving(lambda _: wait) as server,
        running(SHELL_COMMAND, "list", "--base-url", server.url, stderr=subprocess.PIPE) as process,
    ):
        assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == 130


def test_mock_serves_what_list_needs(capsys: Captured, tmp_path: Path) -> None:
    with running(SHELL_COMMAND, "mock", "--port", "0", stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        env_file = tmp_path / "mock.env"
        env_file.write_bytes(b"".join(lines))
        assert "ETH\t0.001\t0.00083334\tUSDT\t0.3552" in lists(capsys, "--env-file", str(env_file))
        port = lines[1].rpartition(b":")[2].strip().decode()
        assert f"--port {port} cannot be used: Address already in use" in fails(
            capsys, 2, "mock", "--port", port
        )
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == 0


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize("command", ["list", "--version", "completion bash", "mock --port 0"])
def test_a_full_disk_or_a_closed_stdout(command: str) -> None:
    for redirection, reason in (
        (">/dev/full", "No space left on device"),
        (">&-", "standard output is closed"),
    ):
        done = subprocess.run(
            ["bash", "-c", f'"$0" {command} {redirection}', SHELL_COMMAND],
            check=False,
            capture_output=True,
            text=True,
            # As it is on most machines: what was not written is kept for the end.
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
        assert done.stderr == f"binance-small-liability: cannot write: {reason}\n"
        assert done.returncode == 1


def test_a_closed_stderr_changes_no_exit_code() -> None:
    command = ["bash", "-c", '"$0" list --no-such-option 2>&-', SHELL_COMMAND]
    assert subprocess.run(command, check=False).returncode == 2


def test_a_port_that_cannot_be(capsys: Captured) -> None:
    assert "there is no such port" in fails(capsys, 2, "mock", "--port", "65536")


def test_completion_in_a_real_shell() -> None:
    script = (
        'eval "$("$0" completion bash)"\n'
        "COMP_WORDS=(binance-small-liability list --for) COMP_CWORD=2\n"
        '_shtab_binance_small_liability; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script, SHELL_COMMAND], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["--format"]


def test_completion_of_file_names(tmp_path: Path) -> None:
    (tmp_path / "mock.env").touch()
    script = (
        'eval "$("$0" completion bash)"\n'
        "COMP_WORDS=(binance-small-liability list --env-file mo) COMP_CWORD=3\n"
        '_shtab_binance_small_liability; echo "${COMPREPLY[@]}"'
    )
    command = ["bash", "-c", script, SHELL_COMMAND]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["mock.env"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_every_shell_gets_a_script(capsys: Captured, shell: str) -> None:
    assert _cli.run(["completion", shell]) == 0
    assert "--env-file" in capsys.readouterr().out


def test_without_the_extra_it_says_what_to_install(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(__main__, "find_spec", lambda _: None)
    assert __main__.main() == 2
    printed, said = capsys.readouterr()
    assert printed == ""
    assert said.count("\n") == 1
    assert "pip install 'binance-small-liability[cli]'" in said


def test_it_runs_as_a_module_too() -> None:
    command = [sys.executable, "-m", "binance_small_liability", "--version"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert shown.startswith("binance-small-liability 0.")


def test_help(capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="0"):
        _cli.run(["--help"])
    assert "usage: binance-small-liability" in capsys.readouterr().out
