"""`mock`: a fake Binance until Ctrl-C or SIGTERM."""

import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from binance_small_liability.testing import FakeBinance

from tests.cli.command import SHELL_COMMAND, Captured, fails, succeeds
from tests.conftest import running
from tests.wire import response, serving
from tools.contract import TIME_PATH

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - a test of this option


def test_its_output_is_an_env_file_for_list(capsys: Captured, tmp_path: Path) -> None:
    with running(SHELL_COMMAND, "mock", "--port", "0", stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        env_file = tmp_path / "mock.env"
        env_file.write_bytes(b"".join(lines))
        listed = succeeds(capsys, "list", "--env-file", str(env_file))
        assert "ETH\t" in listed
        port = lines[1].rpartition(b":")[2].strip().decode()
        advice = "; stop the other `mock`, or choose a free port: `mock --port 0`\n"
        refused = fails(capsys, 2, "mock", "--port", port)
        assert refused.endswith(f"--port {port} cannot be used: Address already in use{advice}")
        process.send_signal(signal.SIGINT)
        said = f"binance-small-liability: serving on http://127.0.0.1:{port} until Ctrl-C\n"
        assert process.communicate(timeout=20) == (b"", said.encode())
    assert process.returncode == 0


def test_other_machines_reach_it_if_that_is_allowed_and_idle_connections_make_room(
    capsys: Captured,
) -> None:
    assert "--host 0 needs --insecure-http" in fails(capsys, 2, "mock", "--host", "0")
    options = ("--host", EVERY_ADDRESS, "--insecure-http", "--port", "0")
    limited = ("sh", "-c", 'ulimit -n 40; exec "$0" mock "$@"', SHELL_COMMAND, *options)
    with ExitStack() as stack:
        process = stack.enter_context(running(*limited, stderr=subprocess.PIPE))
        assert process.stderr is not None
        url = process.stderr.readline().decode().split()[-3]
        port = int(url.rpartition(":")[2])
        assert url == f"http://{socket.gethostname()}:{port}"
        # Not the address to which it listens without the option.
        address = "127.0.0.2", port
        for _ in range(60):
            stack.enter_context(socket.create_connection(address))
        assert httpx.get(f"http://127.0.0.2:{port}{TIME_PATH}", trust_env=False).is_success
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("how", ["file", "option"])
def test_a_client_sends_clear_text_if_it_is_allowed(
    capsys: Captured, fake_binance: FakeBinance, tmp_path: Path, how: str
) -> None:
    # The proxy plays the network between two machines.
    url = "http://mock.example:4010"
    variables = fake_binance.environment(url)
    env_file = tmp_path / "mock.env"
    allowed = {"BINANCE_INSECURE_HTTP": variables.pop("BINANCE_INSECURE_HTTP")}
    options = ["--insecure-http"] if how == "option" else []
    env_file.write_text("\n".join(f"{name}={value}" for name, value in variables.items()))
    refused = fails(capsys, 2, "list", "--env-file", str(env_file))
    assert "clear text; --insecure-http allows it, for a mock server" in refused
    variables |= allowed if how == "file" else {}
    env_file.write_text("\n".join(f"{name}={value}" for name, value in variables.items()))
    with serving(response()) as proxy:
        command = ("list", "--env-file", str(env_file), "--proxy", proxy.url, *options)
        assert "ETH" in succeeds(capsys, *command)
    assert proxy.requests[0].target.startswith(url)


def test_an_impossible_port(capsys: Captured) -> None:
    assert "there is no such port" in fails(capsys, 2, "mock", "--port", "65536")
