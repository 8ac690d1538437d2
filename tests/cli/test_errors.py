"""A failed command writes one line to stderr and returns an exit code."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from binance_small_liability.cli import reads
from binance_small_liability.cli.main import run

from tests.cli.command import Captured, assert_one_line, fails, shell
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


def _unused_url() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


UNUSED = _unused_url()
PORT = UNUSED.rpartition(":")[2]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (
            ["--base-url", UNUSED],
            f"Nothing answers at port {PORT} of this machine: is `mock` running?",
        ),
        (
            ["--base-url", UNUSED, "--proxy", f"http://user:hunter2@127.0.0.1:{PORT}"],
            f"goes through the proxy 127.0.0.1:{PORT}: check the proxy and the base URL.",
        ),
    ],
    ids=["server", "proxy"],  # the port differs in each process of xdist
)
def test_no_network(capsys: Captured, options: list[str], wanted: str) -> None:
    line = fails(capsys, 1, "list", "--timeout", "5", *options)
    assert line.endswith(f" {wanted}\n")
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
    with serving(response({}, 502)) as proxy:
        arguments = []
        if how == "option":
            arguments = ["--proxy", proxy.url]
        elif how == "variable":
            monkeypatch.setenv("BINANCE_PROXY", proxy.url)
        else:
            file = tmp_path / "test.env"
            file.write_text(
                f"BINANCE_API_KEY={API_KEY}\nBINANCE_API_SECRET={API_SECRET}\n"
                f"BINANCE_PROXY={proxy.url}\n"
            )
            arguments = ["--env-file", str(file)]
        line = fails(capsys, 1, "list", *arguments)
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


def test_authorities_that_cannot_be_read() -> None:
    # In its own process, because authorities are loaded once.
    done = shell('exec "$0" list', env={**os.environ, "SSL_CERT_FILE": "/nope.pem"})
    assert done.stdout == ""
    assert_one_line(done.stderr)
    assert "SSL_CERT_FILE names /nope.pem, which cannot be read" in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["lst"], "invalid choice"),
        (["list", "--format", "xml"], "--format"),
        (["list", "--recv-window", "soon"], "--recv-window"),
        (["list", "--recv-window", "60001"], "--recv-window must be a whole number"),
        (["list", "--timeout", "0"], "--timeout must be a number of seconds above 0"),
        (["list", "--max-wait", "-1"], "--max-wait must be a number of seconds, 0 or more"),
        (["list", "--base-url", "http://example.com"], "--base-url must use https"),
        (["list", "--proxy", "gopher://hunter2"], "--proxy is not a proxy"),
        (["list", "--dry-run", "ETH"], "unknown option --dry-run; see"),
        (["list", "--fromat=hunter2"], "unknown option --fromat; did you mean --format?; see"),
        (["list", "--assets", "ETH"], "unknown option --assets; did you mean --asset?; see"),
        (["exchange", "-all"], "unknown option -all; did you mean --all?; see"),
        (["list", "--asset", "ETH,BTC"], "repeat --asset for each coin: --asset ETH --asset BTC"),
        (["list", "--asset", "ETH BTC"], "repeat --asset for each coin: --asset ETH --asset BTC"),
        (["list", "hunter2" * 9], "list takes no coin: use --asset NAME"),
        (["-v", "list"], "-v is not known here; options follow the command"),
        (
            ["--env-file", "hunter2", "list"],
            "--env-file is not known here; options follow the comm",
        ),
        (
            ["--timeout=hunter2", "list"],
            ": binance-small-liability COMMAND --timeout; see binance-sm",
        ),
        (["list", "--nope"], "; see binance-small-liability list --help"),
        (["list", "ETH"], "list takes no coin: use --asset ETH; see"),
        (
            ["history", "--since", "2026-01-01", "12:00"],
            "too many arguments; if a value has spaces, put it in quotes; see",
        ),
        (["history", "--since", "2026-02-30"], "--since: 2026-02-30 is not a date; see"),
        (["history", "--until", "2026-01-01T25:00"], "--until: 2026-01-01T25:00 is not a time"),
        (["history", "--since", "yesterday"], "--since: must be like 2026-01-31"),
        (
            ["history", "--since", "2026-02-01", "--until", "2026-01-01"],
            "--since must not be later than --until",
        ),
        (["completion", "cmd"], "invalid choice"),
    ],
)
def test_wrong_use(capsys: Captured, arguments: list[str], wanted: str) -> None:
    line = fails(capsys, 2, *arguments)
    assert wanted in line
    assert "hunter2" not in line


def test_a_secret_in_the_arguments_is_refused_and_not_repeated(capsys: Captured) -> None:
    for arguments in (
        ["list", "--api-secret", "hush"],
        ["list", "--api-secret=hush"],
        ["list", "hush", "--api-secret"],
        ["--api-secret", "hush", "list"],
    ):
        line = fails(capsys, 2, *arguments)
        assert "--api-secret" in line
        assert "; credentials come only from the environment or --env-file; see" in line
        assert "hush" not in line


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
def test_a_full_disk_or_a_closed_stdout(command: str) -> None:
    for redirection, reason in (
        (">/dev/full", "No space left on device"),
        (">&-", "standard output is closed"),
    ):
        with serving(response([])) as server:
            # PYTHONUNBUFFERED is not set, as on most machines, so Python flushes when it exits.
            changes = {"PYTHONUNBUFFERED": "", "BINANCE_BASE_URL": server.url}
            done = shell(f'"$0" {command} {redirection}', env={**os.environ, **changes})
        assert done.stderr == f"binance-small-liability: cannot write: {reason}\n"
        assert done.returncode == 1


def test_a_closed_stderr_changes_no_exit_code() -> None:
    assert shell('"$0" list --no-such-option 2>&-').returncode == 2
