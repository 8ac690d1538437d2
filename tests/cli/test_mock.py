"""`mock`: a fake Binance until Ctrl-C or SIGTERM."""

import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.cli.command import SHELL_COMMAND, Captured, assert_one_line, shell, succeeds
from tests.conftest import running
from tools.contract import TIME_PATH


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_its_output_is_an_env_file_for_list(
    capsys: Captured, tmp_path: Path, end: signal.Signals
) -> None:
    with running(SHELL_COMMAND, "mock", "--port", "0", stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        env_file = tmp_path / "mock.env"
        env_file.write_bytes(b"".join(lines))
        listed = succeeds(capsys, "list", "--env-file", str(env_file))
        assert "ETH\t" in listed
        port = lines[1].rpartition(b":")[2].strip().decode()
        second = shell('exec "$0" mock --port "$1"', port)
        assert f"--port {port} cannot be used: Address already in use" in second.stderr
        assert_one_line(second.stderr)
        assert second.returncode == 2
        process.send_signal(end)
        assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == 0


def test_an_impossible_port() -> None:
    done = shell('exec "$0" mock --port 65536')
    assert "there is no such port" in done.stderr
    assert_one_line(done.stderr)
    assert done.returncode == 2


def test_idle_connections_make_room_for_others() -> None:
    command = 'ulimit -n 40; exec "$0" mock --port 0'
    with ExitStack() as stack:
        process = stack.enter_context(running("sh", "-c", command, SHELL_COMMAND))
        assert process.stdout is not None
        url = [process.stdout.readline() for _ in range(4)][1].decode().strip().partition("=")[2]
        address = "127.0.0.1", int(url.rpartition(":")[2])
        for _ in range(60):
            stack.enter_context(socket.create_connection(address))
        assert httpx.get(f"{url}{TIME_PATH}", trust_env=False).status_code == 200
