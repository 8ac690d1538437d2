"""The command starts and ends: installed, as a module, in one file, and interrupted."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import zipapp
from importlib.util import find_spec
from pathlib import Path

import binance_small_liability_command as command
import pytest
from binance_small_liability import __version__
from binance_small_liability.cli.main import run
from binance_small_liability.cli.parser import parser

from tests.cli.command import COINS, SHELL_COMMAND, Captured, assert_one_line
from tests.conftest import running
from tests.processes import ended
from tests.wire import response, serving


def test_without_the_extra_a_message_names_it(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="2"):
        command.main()
    printed, line = capsys.readouterr()
    assert printed == ""
    assert_one_line(line)
    assert 'pip install "binance-small-liability[cli]"' in line


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help(capsys: Captured, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(arguments)
    assert "usage: binance-small-liability" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["list", "exchange", "history", "call", "mock"])
def test_the_help_of_a_command_shows_the_default_of_each_value(name: str) -> None:
    [commands] = [a.choices for a in parser()._actions if isinstance(a.choices, dict)]
    options = commands[name]._actions
    with_values = [each for each in options if each.option_strings and each.nargs != 0]
    silent = [each.dest for each in with_values if "default" not in (each.help or "")]
    assert silent == (["env_file"] if name != "mock" else [])


def test_an_interrupt_ends_it_without_output_also_as_a_module() -> None:
    def wait(connection: socket.socket) -> None:
        process.send_signal(signal.SIGINT)
        connection.recv(1)

    module = (sys.executable, "-m", "binance_small_liability")
    with (
        serving(lambda _: wait) as server,
        running(*module, "list", "--base-url", server.url, stderr=subprocess.PIPE) as process,
    ):
        assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == 130


_INTERRUPT_AT_IMPORT = """
import os, signal, sys

def interrupt(event, arguments, left=["{module}"]):
    if event == "import" and arguments[0] in left:
        left.clear()
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(interrupt)
"""


@pytest.mark.parametrize(
    "module",
    [
        "binance_small_liability",
        "httpx",
        "binance_small_liability.cli.main",
        "prettytable",
    ],
)
def test_an_interrupt_during_an_import_ends_it_without_output(module: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_INTERRUPT_AT_IMPORT.format(module=module))
    with serving(response(COINS)) as server:
        command = (SHELL_COMMAND, "list", "--format", "table", "--base-url", server.url)
        done = ended(*command, env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# The imported packages; all are pure Python.
_PACKAGES = """binance_small_liability binance_small_liability_api binance_small_liability_command
anyio attr attrs certifi h11 httpcore httpx idna prettytable shtab typing_extensions wcwidth"""


# Runs the file with each list of arguments.
_RUN_FILE = """
import json, runpy, sys
for sys.argv in json.loads(sys.argv[1]):
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        print("ended with", end.code)
"""


def test_in_one_file_it_lists_knows_its_version_and_needs_the_contract_only_for_mock(
    tmp_path: Path,
) -> None:
    """As a zipapp, without metadata and files on the disk."""
    for name in _PACKAGES.split():
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        if origin.name == "__init__.py":
            ignored = shutil.ignore_patterns("__pycache__", "openapi.json")
            shutil.copytree(origin.parent, tmp_path / "app" / name, ignore=ignored)
        else:
            shutil.copy(origin, tmp_path / "app")
    file = tmp_path / "command.pyz"
    zipapp.create_archive(tmp_path / "app", file, main="binance_small_liability_command:main")
    with serving(response(COINS)) as server:
        runs = (["list", "--base-url", server.url], ["--version"], ["mock", "--port", "0"])
        wanted = json.dumps([[str(file), *arguments] for arguments in runs])
        # Without site-packages, and so without the metadata of this project.
        done = ended(sys.executable, "-E", "-S", "-c", _RUN_FILE, wanted)
    listed, versioned, mocked, rest = done.stdout.split("ended with ")
    assert "ETH\t" in listed
    assert versioned == f"0\nbinance-small-liability {__version__}\n"
    assert (mocked, rest) == ("0\n", "1\n")
    assert_one_line(done.stderr)
    assert "openapi.json, is missing" in done.stderr
