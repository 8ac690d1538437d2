"""A failed command writes one line to stderr and returns an exit code."""

import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from binance_small_liability._io import network
from binance_small_liability.cli import reads
from binance_small_liability.cli.main import run

from tests.cli.command import Captured, Forks, fails, shell
from tests.conftest import API_KEY, API_SECRET
from tests.wire import reset, response, serving
from tools.operations import LIST_COINS

REFUSALS = [
    (401, {"code": -2015, "msg": "No."}, {}, ["-2015", "API key", "IP addresses", "permissions"]),
    (400, {"code": -2008, "msg": "No."}, {}, ["-2008", "API key", "IP addresses", "permissions"]),
    (400, {"code": -1022, "msg": "No."}, {}, ["-1022", "secret"]),
    (400, {"code": -1021, "msg": "No."}, {}, ["-1021", "clock"]),
    (418, {"code": -1003, "msg": "No."}, {"Retry-After": "3600"}, ["banned", "Try again at 20"]),
    (429, {"code": -1003, "msg": "No."}, {"Retry-After": "1e99"}, ["HTTP 429"]),
    (403, b"<html>", {}, ["HTTP 403", "firewall"]),
    (404, b"<html>", {}, ["HTTP 404. Check the base URL."]),
    (503, b"<html>", {}, ["HTTP 503. Binance failed. 3 attempts were made. Try again later."]),
    (400, {"code": -3003, "msg": "No."}, {}, ["-3003", "Open a cross-margin account"]),
    (400, {"code": -3022, "msg": "No."}, {}, ["-3022", "/error-code"]),
    (200, b"<html>", {}, ["not JSON", "Check the base URL"]),
    (400, {"code": -1, "msg": "two\nlines \x1b[2J" + "x" * 9999}, {}, [r"two lines \x1b[2J"]),
]


@pytest.mark.parametrize(("status", "body", "headers", "wanted"), REFUSALS)
def test_a_refusal_is_one_line_that_says_what_to_do(
    capsys: Captured,
    status: int,
    body: dict[str, Any] | bytes,
    headers: dict[str, str],
    wanted: list[str],
) -> None:
    with serving(response(body, status, headers)) as server:
        line = fails(capsys, 1, "list", "--base-url", server.url)
    for words in wanted:
        assert words in line
    assert len(line) < 600


def _unused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_no_network(capsys: Captured) -> None:
    port = _unused_port()
    command = ("list", "--timeout", "5", "--base-url", f"http://127.0.0.1:{port}")
    line = fails(capsys, 1, *command)
    assert line.endswith(f" Nothing answers at port {port} of this machine: is `mock` running?\n")
    line = fails(capsys, 1, *command, "--proxy", f"http://user:hunter2@127.0.0.1:{port}")
    proxy = f"through the proxy 127.0.0.1:{port}: check the proxy and the base URL.\n"
    assert line.endswith(proxy)
    assert "hunter2" not in line


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_message_names_the_proxy_of_other_programs(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://user:hunter2@127.0.0.1:1")
    with serving(lambda _: reset()) as server:
        line = fails(capsys, 1, "list", "--base-url", server.url)
    check = "Check the network and the base URL."
    assert line.endswith(f" {check} {variable} is not used: set BINANCE_PROXY or give --proxy.\n")
    assert "hunter2" not in line


@pytest.mark.parametrize("how", ["option", "variable", "file"])
def test_a_proxy_is_used(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    file = tmp_path / "test.env"
    with serving(response({}, 502)) as proxy:
        variables = {"API_KEY": API_KEY, "API_SECRET": API_SECRET, "PROXY": proxy.url}
        file.write_text("".join(f"BINANCE_{name}={value}\n" for name, value in variables.items()))
        if how == "variable":
            monkeypatch.setenv("BINANCE_PROXY", proxy.url)
        options = {"option": ["--proxy", proxy.url], "file": ["--env-file", str(file)]}
        line = fails(capsys, 1, "list", *options.get(how, []))
    assert {request.method for request in proxy.requests} == {"CONNECT"}
    assert proxy.requests[0].target == "api.binance.com:443"
    assert "HTTPS_PROXY" not in line


def test_no_key(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINANCE_API_KEY")
    line = fails(capsys, 2, "list")
    assert "BINANCE_API_KEY is missing (is it exported?); create one in" in line
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.delenv("BINANCE_API_SECRET")
    assert "_SECRET or BINANCE_PRIVATE_KEY_FILE is missing (is it ex" in fails(capsys, 2, "list")
    assert "--env-file" in line


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("BINANCE_API_SECRET", '"hunter2"', "BINANCE_API_SECRET is in quotes; remove them"),
        ("BINANCE_API_KEY", "<your-api-key>", "BINANCE_API_KEY is a placeholder"),
        ("BINANCE_BASE_URL", "https://api.binance.com ", "BINANCE_BASE_URL contains a space"),
        ("BINANCE_BASE_URL", "http://api.binance.com", "BINANCE_BASE_URL must use https://"),
        ("BINANCE_INSECURE_HTTP", "yes", "BINANCE_INSECURE_HTTP must be 1, or unset"),
        ("BINANCE_PROXY", "hunter2", "BINANCE_PROXY is not a proxy"),
    ],
)
def test_a_wrong_variable(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(variable, value)
    line = fails(capsys, 2, "list")
    assert line.startswith(f"binance-small-liability: {wanted}")
    assert "insecure_http" not in line
    assert "hunter2" not in line


def test_authorities_that_cannot_be_read(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nope.pem")
    network.tls.cache_clear()
    assert "SSL_CERT_FILE names /nope.pem, which cannot be read" in fails(capsys, 2, "list")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ("lst", "invalid choice"),
        ("list --format xml", "--format"),
        ("list --recv-window soon", "--recv-window"),
        ("list --recv-window 60001", "--recv-window must be a whole number"),
        ("list --timeout 0", "--timeout must be a number of seconds above 0"),
        ("list --max-wait -1", "--max-wait must be a number of seconds, 0 or more"),
        ("list --base-url http://example.com", "--base-url must use https"),
        ("list --proxy gopher://hunter2", "--proxy is not a proxy"),
        ("list --dry-run ETH", "unknown option --dry-run; see"),
        ("list --fromat=hunter2", "unknown option --fromat; did you mean --format?; see"),
        ("list --assets ETH", "unknown option --assets; did you mean --asset?; see"),
        ("exchange -all", "unknown option -all; did you mean --all?; see"),
        ("list --asset ETH,BTC", "repeat --asset for each coin: --asset ETH --asset BTC"),
        ("list --asset 'ETH BTC'", "repeat --asset for each coin: --asset ETH --asset BTC"),
        (f"list {'hunter2' * 9}", "list takes no coin: use --asset NAME"),
        ("-v list", "-v is not known here; options follow the command"),
        ("--env-file hunter2 list", "--env-file is not known here; options follow the comm"),
        ("--timeout=hunter2 list", ": binance-small-liability COMMAND --timeout; see binance-sm"),
        ("list --nope", "; see binance-small-liability list --help"),
        ("list ETH", "list takes no coin: use --asset ETH; see"),
        (
            "history --since 2026-01-01 12:00",
            "too many arguments; if a value has spaces, put it in quotes; see",
        ),
        ("history --since 2026-02-30", "--since: 2026-02-30 is not a date; see"),
        ("history --until 2026-01-01T25:00", "--until: 2026-01-01T25:00 is not a time"),
        ("history --since yesterday", "--since: must be like 2026-01-31"),
        (
            "history --since 2026-02-01 --until 2026-01-01",
            "--since must not be later than --until",
        ),
        ("completion cmd", "invalid choice"),
        *(
            (words, "; credentials come only from the environment or --env-file; see")
            for words in (
                "list --api-secret hunter2",
                "list --api-secret=hunter2",
                "list hunter2 --api-secret",
                "--api-secret hunter2 list",
            )
        ),
    ],
)
def test_wrong_use(capsys: Captured, arguments: str, wanted: str) -> None:
    line = fails(capsys, 2, *shlex.split(arguments))
    assert wanted in line
    assert "hunter2" not in line


@pytest.mark.parametrize("verbose", ["-v", "-vv"])
def test_verbose_shows_all_but_secrets(capsys: Captured, verbose: str) -> None:
    body = {"code": -2015, "msg": "No."}
    header = str(LIST_COINS.generated.weight_header)
    with serving(response(body, 401, {header: "7"})) as server:
        assert run(["list", verbose, "--base-url", server.url]) == 1
    printed, written = capsys.readouterr()
    assert printed == ""
    for words in ("status: 401", "attempts: 1", f"{header}: 7"):
        assert words in written
    # A wrong key is not a bug.
    assert ("Traceback (most recent call" in written) == (verbose == "-vv")
    assert API_KEY not in written
    assert API_SECRET not in written


@pytest.mark.parametrize("error", [ZeroDivisionError(), FileNotFoundError(2, "No such file")])
def test_a_bug_is_one_line_and_not_a_failed_write(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(reads, "render", fail)
    with serving(response([])) as server:
        line = fails(capsys, 1, "list", "--base-url", server.url)
        assert run(["list", "-v", "--base-url", server.url]) == 1
    assert f"unexpected {type(error).__name__}; run it again with -v" in line
    assert "cannot write" not in line
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["list", "--version", "completion bash", "mock --port 0"])
def test_a_full_disk_or_a_closed_stdout(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with serving(response([])) as server, Path("/dev/full").open("w") as full:
        monkeypatch.setenv("BINANCE_BASE_URL", server.url)
        for stdout, reason in (
            (full, "No space left on device"),
            (None, "standard output is closed"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(sys, "stdout", stdout)
                code = run(command.split())
            assert capsys.readouterr().err == f"binance-small-liability: cannot write: {reason}\n"
            assert code == 1


def test_a_closed_stderr_changes_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert run(["list", "--no-such-option"]) == 2


def test_the_end_of_the_process_changes_no_exit_code(forks: Forks) -> None:
    # Python writes the rest when it exits, and may fail again.
    said = "binance-small-liability: cannot write: No space left on device\n"
    with Path("/dev/full").open("w") as full:
        assert forks.run("--version", stdout=full.fileno()) == (1, "", said)
        assert forks.run("list", "--nope", stderr=full.fileno()) == (2, "", "")
    ours, theirs = os.pipe()
    os.close(ours)
    # A reader that closes the pipe is not a failure.
    assert forks.run("--version", stdout=theirs) == (0, "", "")
    os.close(theirs)
    done = shell('exec "$0" --version >&-')
    said = "binance-small-liability: cannot write: standard output is closed\n"
    assert (done.returncode, done.stderr) == (1, said)
