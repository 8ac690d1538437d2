"""Processes that the tests start and wait for."""

import os
import subprocess
import sys
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
