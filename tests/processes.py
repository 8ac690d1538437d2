"""Processes that the tests start and wait for."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple


def ended(
    *command: str | Path, env: dict[str, str] | None = None, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """What became of a process. `env` is added to the environment."""
    options = {"capture_output": True, "text": True} | options
    return subprocess.run(command, check=False, env=os.environ | (env or {}), **options)


def output(*command: str | Path, **options: Any) -> str:
    """What a process printed. It must succeed."""
    done = ended(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def python(code: str, *arguments: str, **options: Any) -> str:
    """What Python code printed. It must succeed."""
    return output(sys.executable, "-c", code, *arguments, **options)


def forked(work: Callable[[], int]) -> int:
    """A copy of this process, forked as a server in C does: no hook of Python runs.

    It ends with the result of `work`, and fails after an error or 10 s.
    """
    pid: int = ctypes.PyDLL(None).fork()
    if not pid:
        code = 255
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            code = work()
        finally:
            os._exit(code)
    return pid


def exit_code(pid: int) -> int:
    """How a child ended."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Result(NamedTuple):
    """How a script ended, and what it printed."""

    code: int
    stdout: str
    stderr: str


_FORK = """
import anyio, asyncio, gc, json, os, sys
from binance_small_liability import AsyncSmallLiabilityClient, SmallLiabilityClient
from binance_small_liability.aiohttp import AiohttpTransport

# Loaded once for all scripts. Otherwise each fork would look through all objects when it exits.
SmallLiabilityClient(api_key="key", api_secret="secret")
asyncio.run(anyio.sleep(0))
gc.freeze()
while line := sys.stdin.readline():
    script, *files = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
if not line:
    sys.exit()
for number, file in enumerate(files, 1):
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
exec(script)
"""


@contextmanager
def forking() -> Iterator[Callable[[str], Result]]:
    """Runs scripts in forks of one process, because importing the clients takes 0.6 s."""
    command = (sys.executable, "-c", _FORK)
    pipe = subprocess.PIPE
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        stdin, stdout = process.stdin, process.stdout

        def run(script: str) -> Result:
            print(json.dumps([script, *map(str, outputs)]), file=stdin, flush=True)
            code = int(stdout.readline())
            printed, errors = (each.read_text("utf-8") for each in outputs)
            return Result(code, printed, errors)

        try:
            yield run
        finally:
            process.kill()
