"""Runs the command line, and checks what is true of every run."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from binance_small_liability.cli.main import run

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
