"""Processes that the tests start and wait for."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
