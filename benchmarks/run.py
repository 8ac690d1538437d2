"""Installs the clients, measures them, and writes the results: `python -m benchmarks.run`.

The clients take turns in every round, so that a disturbance of the machine affects all of them.
"""

import asyncio
import json
import multiprocessing
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from benchmarks import fleet
from benchmarks.clients import CLIENTS, OURS, OURS_AIOHTTP, OURS_ASYNC, PACING, Client, profile
from benchmarks.report import BASELINE, Installed, Results, Rounds, write

HERE = Path(__file__).resolve().parent
_FOLDER = HERE / ".environments"
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python")
_START = monotonic()


class _Effort(NamedTuple):
    """At most so many rounds and seconds. Turns are short: a round sees the same disturbances."""

    rounds: int
    seconds: float
    calls: int = 1  # in one turn of a client


_CALLS = {1: _Effort(150, 60, 25), 10: _Effort(60, 25, 20), 100: _Effort(60, 25, 10)}  # by coins
_TASKS, _TOGETHER = 100, _Effort(12, 40, 200)
_IMPORTS = _Effort(25, 25)
_ROUND_TRIPS = _Effort(60, 15, 20)
_PROFILED_CALLS = 500
_FEWEST_ROUNDS = 3


def _say(text: str) -> None:
    print(f"{monotonic() - _START:4.0f} s  {text}", flush=True)


def _run(*command: str | Path) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=HERE.parent, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def _python(environment: str) -> Path:
    return _FOLDER / environment / "bin" / "python"


def _install(environment: str, wheel: Path) -> Installed:
    """Makes an environment, unless one with the same requirements exists."""
    python, stamp = _python(environment), _FOLDER / environment / "installed"
    requirements = HERE / "requirements" / f"{environment}.txt"
    wanted = f"{sys.version}\n{requirements.read_text('utf-8')}"
    options = ("install", "--no-deps", "--only-binary", ":all:")
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", _FOLDER / environment)
        _run(*_PIP, python, *options, "--require-hashes", "--requirement", requirements)
        stamp.write_text(wanted, "utf-8")
    if environment.startswith(OURS):
        _run(*_PIP, python, *options, "--force-reinstall", wheel)
    _run(*_PIP, python, "check")
    [packages] = (_FOLDER / environment).glob("lib/python*/site-packages")
    name = OURS if environment.startswith(OURS) else environment
    [metadata] = packages.glob(f"{name.replace('-', '_')}-[0-9]*.dist-info")
    files = (path for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc")
    size = sum(path.stat().st_size for path in files)
    distributions = len(list(packages.glob("*.dist-info")))
    return Installed(metadata.stem.partition("-")[2], distributions, size)


class _Answering(asyncio.Protocol):
    """Answers every signed request with the same bytes, which takes little time."""

    def __init__(self, coins: int) -> None:
        first = {"asset": "ETH", "interest": "0.00083334", "principal": "0.001"}
        first |= {"liabilityAsset": "USDT"}
        listed = [{**first, "asset": f"COIN{n}", "liabilityQty": n / 10_000} for n in range(coins)]
        body = json.dumps(listed, separators=(",", ":")).encode()
        # Always the count of the first request in a minute: no client waits for a budget.
        head = b"Content-Type: application/json;charset=UTF-8\r\nX-SAPI-USED-IP-WEIGHT-1M: 100\r\n"
        self._answers = {
            True: b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (head, len(body)) + body,
            False: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        }
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in heads:
            is_signed = head.startswith(b"GET /sapi/v1/margin/") and b"&signature=" in head
            self._transport.write(self._answers[is_signed])


def _serve(pipe: Connection) -> None:
    async def serve() -> None:
        loop, urls = asyncio.get_running_loop(), {}
        for coins in _CALLS:
            answering = partial(_Answering, coins)
            server = await loop.create_server(answering, "127.0.0.1", 0, backlog=2048)
            urls[coins] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        pipe.send(urls)
        await asyncio.Future()

    asyncio.run(serve())


@contextmanager
def serving() -> Iterator[dict[int, str]]:
    """The server, in a process of its own: its URLs, by the number of coins in the answer."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(there,), daemon=True)
    server.start()
    try:
        yield here.recv()
    finally:
        server.terminate()
        server.join()


@contextmanager
def _worker(name: str, client: Client, stderr: int | None = None) -> Iterator[Callable[..., Any]]:
    """A process that calls a client. The function returns seconds per call, or the profile.

    If a call fails, the process ends and the function raises a ValueError.
    """
    with subprocess.Popen(
        [_python(client.environment), "-E", "-s", "-m", "benchmarks.clients", name],
        cwd=HERE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        requests, answers = process.stdin, process.stdout
        assert requests
        assert answers

        def ask(url: str, calls: int, **options: Any) -> Any:
            request: dict[str, Any] = {"coins": 1, "tasks": int(client.is_async), "profile": False}
            request |= {"url": url, "calls": calls, **options}
            print(json.dumps(request), file=requests, flush=True)
            return json.loads(answers.readline())

        try:
            yield ask
        finally:
            process.kill()


def _in_turns(effort: _Effort, turns: Mapping[str, Callable[[], float]]) -> Rounds:
    figures: Rounds = {name: [] for name in turns}
    end = monotonic() + effort.seconds
    for number in range(effort.rounds):
        if number >= _FEWEST_ROUNDS and monotonic() > end:
            break
        # Each round starts with another client, so that none always follows the same one.
        names = list(turns)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(turns[name]())
    return figures


def _measure_calls(results: Results, urls: dict[int, str]) -> None:
    with ExitStack() as stack:
        ask = {name: stack.enter_context(_worker(name, each)) for name, each in CLIENTS.items()}
        for coins, effort in _CALLS.items():
            _say(f"calls that return {coins} coins")
            turns = {
                name: partial(ask[name], urls[coins], effort.calls, coins=coins) for name in ask
            }
            results.calls[coins] = _in_turns(effort, turns)
        _say(f"{_TASKS} tasks")
        turns = {
            name: partial(ask[name], urls[1], _TOGETHER.calls, tasks=_TASKS)
            for name, client in CLIENTS.items()
            if client.is_async
        }
        results.together = _in_turns(_TOGETHER, turns)
        for name in (OURS, OURS_ASYNC, OURS_AIOHTTP):
            results.profiles[name] = ask[name](urls[1], _PROFILED_CALLS, profile=True)


def _measure_imports(results: Results) -> None:
    def seconds(imports: str) -> float:
        code = f"from time import perf_counter as now; start = now(); import {imports}; "
        return float(_run(_python(OURS), "-I", "-c", f"{code}print(now() - start)"))

    _say("imports")
    imports = {BASELINE: BASELINE, OURS: OURS.replace("-", "_")}
    turns = {name: partial(seconds, modules) for name, modules in imports.items()}
    results.imports = _in_turns(_IMPORTS, turns)


def _measure_round_trips(results: Results, url: str) -> None:
    _say("round trips to Redis")
    with fleet.round_trips(url, _ROUND_TRIPS.calls) as turns:
        results.round_trips = _in_turns(_ROUND_TRIPS, turns)
        for name in (fleet.SHARED, fleet.SHARED_ASYNC):
            profiled = partial(_in_turns, _ROUND_TRIPS, {name: turns[name]})
            results.profiles[name] = profile(profiled)


def _measure_pacing(results: Results) -> None:
    for name, client in PACING.items():
        _say(f"pacing of {name}")
        fake = fleet.RecordingBinance(minute=3600)
        # The first refusal ends the process.
        worker = _worker(name, client, subprocess.DEVNULL)
        with fake.serve() as url, worker as ask, suppress(ValueError):
            ask(url, 1000)
        results.pacing[name] = fake.until_refused()


def _machine() -> str:
    """The kind of machine."""
    information = Path("/proc/cpuinfo")
    text = information.read_text("utf-8") if information.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    processor = model[1] if model else platform.machine()
    version = platform.python_version()
    return f"{os.cpu_count()} cores of {processor}, {platform.system()}, CPython {version}"


def measure() -> Results:
    """Everything, from the installation on."""
    results = Results(datetime.now(UTC).date().isoformat(), _machine())
    _say("installing")
    hatchling = Path(sys.executable).with_name("hatchling")
    _run(hatchling, "build", "--target", "wheel", "--clean", "--directory", _FOLDER)
    [wheel] = _FOLDER.glob("*.whl")
    environments = list(dict.fromkeys(client.environment for client in CLIENTS.values()))
    with ThreadPoolExecutor(2) as threads:
        installed = threads.map(partial(_install, wheel=wheel), environments)
        results.installed = dict(zip(environments, installed, strict=True))
    with serving() as urls:
        _measure_calls(results, urls)
        _measure_imports(results)
        _measure_round_trips(results, urls[1])
    _measure_pacing(results)
    for name, run in fleet.runs():
        _say(f"measured: {name}")
        results.runs[name] = run
    return results


if __name__ == "__main__":
    write(measure(), HERE)
    _say("benchmarks/results.md is written")
