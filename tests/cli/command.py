"""Runs the command line, and checks what is true of every run."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from binance_small_liability.cli.main import run

from tests.clients import API_KEY, API_SECRET
from tests.processes import ended
from tools.operations import LIST_COINS

SHELL_COMMAND = str(Path(sys.executable).with_name("binance-small-liability"))

_DOCUMENTED: dict[str, Any] = json.loads(LIST_COINS.body)[0] | {"liabilityQty": 3}
COINS = [
    _DOCUMENTED
    | {
        "interest": "0.00000001",
        "principal": "0.100",
        "liabilityQty": "123456789012.123456789012345678",
    },
    _DOCUMENTED | {"asset": "币安人生", "principal": "12", "liabilityAsset": "USDC"},
]

Captured = pytest.CaptureFixture[str]


def succeeds(capsys: Captured, *arguments: str) -> str:
    """Runs a command that must succeed; returns its output."""
    code = run(arguments)
    printed, written = capsys.readouterr()
    assert written == ""
    assert code == 0
    return printed


def rows(capsys: Captured, *arguments: str) -> list[dict[str, str]]:
    """Runs a command that must succeed; returns the rows of its TSV."""
    text = succeeds(capsys, *arguments)
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", strict=True))


def fails(capsys: Captured, code: int, *arguments: str) -> str:
    """Runs a command that must fail; returns its one line on stderr."""
    assert run(arguments) == code
    printed, line = capsys.readouterr()
    assert printed == ""
    assert_one_line(line)
    return line


def assert_one_line(line: str) -> None:
    assert line.startswith("binance-small-liability: ")
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert "Traceback" not in line


def shell(script: str, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Runs a script in bash, in which $0 is the command."""
    return ended("bash", "-c", script, SHELL_COMMAND, *arguments, **options)


class Forks:
    """Runs the command in a process of its own each time, one after another.

    Attributes:
        pid: the process id of the next run, or of the current one.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self.pid = int(control.recv(100))

    def start(self, arguments: Sequence[str], *files: int, ignored: Sequence[int] = ()) -> None:
        """Starts it with three files as stdin, stdout and stderr, and with ignored signals."""
        message = json.dumps([arguments, dict(os.environ), ignored])
        socket.send_fds(self._control, [message.encode()], files)

    def exit_code(self) -> int:
        """Waits for its end."""
        code = int(self._control.recv(100))
        self.pid = int(self._control.recv(100))
        return code

    def run(
        self,
        *arguments: str,
        stdout: int | None = None,
        stderr: int | None = None,
        ignored: Sequence[int] = (),
    ) -> tuple[int, str, str]:
        """Its exit code, and what it wrote to stdout and stderr."""
        with (
            Path(os.devnull).open() as nothing,
            TemporaryFile("w+") as out,
            TemporaryFile("w+") as err,
        ):
            shown = out.fileno() if stdout is None else stdout
            said = err.fileno() if stderr is None else stderr
            self.start(arguments, nothing.fileno(), shown, said, ignored=ignored)
            code = self.exit_code()
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()


@contextmanager
def forking() -> Iterator[Forks]:
    """Starts the process whose forks run the command."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    program, number = Path(__file__).with_name("forking.py"), theirs.fileno()
    # As on most machines, Python buffers the output, and writes the rest when it exits.
    changes = {"PYTHONUNBUFFERED": "", "BINANCE_API_KEY": API_KEY, "BINANCE_API_SECRET": API_SECRET}
    with subprocess.Popen(
        [sys.executable, program, str(number)],
        env=os.environ | changes,
        pass_fds=[number],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ):
        theirs.close()
        with ours:
            yield Forks(ours)
