"""Installs the clients, measures them, and writes the results: `python -m benchmarks.run ROUNDS`.

The clients take turns in every round, so that a disturbance of the machine affects all of them.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import distributions
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import redis

from benchmarks import clients, fleet
from benchmarks.clients import CLIENTS, OURS, OURS_AIOHTTP, OURS_ASYNC, PACING, ROUND_TRIPS
from benchmarks.report import BASELINE, COINS, IMPORT, TASKS, Installed, Results, Work, write

HERE = Path(__file__).resolve().parent
_FOLDER = HERE / ".environments"
_PIP = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "--python")
_START = monotonic()
# Turns are short, so that a round sees the same disturbances.
_CALLS = 20
_PROFILED_CALLS = 200

_SECTIONS = {
    **{f"coins: {coins}": [Work(name, coins) for name in CLIENTS] for coins in COINS},
    f"tasks: {TASKS}": [Work(name, tasks=TASKS) for name in CLIENTS if clients.is_async(name)],
    "round trips to Redis": [Work(name) for name in ROUND_TRIPS],
    "imports": [Work(BASELINE), Work(IMPORT)],
}
_SHARED = (clients.SHARED, f"{clients.SHARED} (async)")
_PROFILED = (OURS, OURS_ASYNC, OURS_AIOHTTP, *_SHARED, IMPORT)


def _say(text: str) -> None:
    print(f"{monotonic() - _START:4.0f} s  {text}", flush=True)


def _run(*command: str | Path, stderr: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=stderr, text=True)


def _python(environment: str) -> str:
    return str(_FOLDER / environment / "bin/python") if environment else sys.executable


def _install(environment: str, wheel: Path) -> Installed:
    """Makes an environment, unless one with the same requirements exists."""
    folder, python = _FOLDER / environment, _python(environment)
    requirements, stamp = HERE / f"requirements/{environment}.txt", folder / "installed"
    wanted = f"{sys.version}\n{requirements.read_text('utf-8')}"
    options = ("install", "--no-deps", "--only-binary", ":all:")
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
        _run(*_PIP, python, *options, "--require-hashes", "--requirement", requirements)
        stamp.write_text(wanted, "utf-8")
    if environment.startswith(OURS):
        _run(*_PIP, python, *options, "--force-reinstall", wheel)
    _run(*_PIP, python, "check")
    [packages] = folder.glob("lib/*/site-packages")
    found = {
        each.name.lower().replace("_", "-"): each for each in distributions(path=[str(packages)])
    }
    sizes = {
        name: sum(file.size or 0 for file in each.files or () if file.suffix != ".pyc")
        for name, each in found.items()
    }
    return Installed(found[environment.removesuffix("-aiohttp")].version, sizes)


class Connection(asyncio.Protocol):
    """Answers every signed request with the same bytes, which takes little time."""

    coins = 1  # in the answers on all connections
    _received = b""

    def connection_made(self, transport: Any) -> None:
        """Keeps the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each complete request."""
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in heads:
            is_signed = head.startswith(b"GET /sapi/v1/margin/") and b"&signature=" in head
            refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
            self._transport.write(_answer(self.coins) if is_signed else refusal)


@cache
def _answer(coins: int) -> bytes:
    coin = {"interest": "0.00083334", "principal": "0.001", "liabilityAsset": "USDT"}
    listed = [{"asset": f"COIN{n}", "liabilityQty": n / 10_000, **coin} for n in range(coins)]
    body = json.dumps(listed, separators=(",", ":")).encode()
    # Always the count of the first request in a minute: no client waits for a budget.
    head = b"Content-Type: application/json;charset=UTF-8\r\nX-SAPI-USED-IP-WEIGHT-1M: 100\r\n"
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def serve() -> str:
    """Starts the server, and returns its URL. Its thread ends with the process.

    It disturbs no client, because this process only waits while the others call.
    """
    loop = asyncio.new_event_loop()
    creating = loop.create_server(Connection, "127.0.0.1", 0, backlog=2048)
    server = loop.run_until_complete(creating)
    Thread(target=loop.run_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextmanager
def _worker(name: str, url: str, stderr: int | None = None) -> Iterator[Callable[..., Any]]:
    """A process that calls a client. The function returns seconds per call, or the profile.

    If a call fails, the process ends and the function raises a ValueError.
    """
    python = (_python(clients.ALL[name].environment), "-E", "-s", "-m")
    with subprocess.Popen(
        [*python, "benchmarks.clients", name, url],
        cwd=HERE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        pipes: Any = process

        def ask(work: Work, calls: int = _CALLS, *, is_profiled: bool = False) -> Any:
            Connection.coins = work.coins
            request = [max(calls, 2 * work.tasks), work.coins, work.tasks, is_profiled]
            print(json.dumps(request), file=pipes.stdin, flush=True)
            return json.loads(pipes.stdout.readline())

        try:
            yield ask
        finally:
            process.kill()


def _import(work: Work, times: int = 1, *, is_profiled: bool = False) -> Any:
    """The seconds of one import, or the microseconds of each module in many."""
    python = (_python(OURS), "-I")
    if not is_profiled:
        code = f"from time import perf_counter as now; start = now(); {work.name}; "
        return float(_run(*python, "-c", f"{code}print(now() - start)").stdout)
    microseconds: Counter[str] = Counter()
    for _ in range(times // 20):
        done = _run(*python, "-X", "importtime", "-c", work.name, stderr=subprocess.PIPE)
        for line in done.stderr.splitlines()[1:]:
            own, _, module = line.removeprefix("import time:").split("|")
            microseconds[module.strip()] += int(own)
    return microseconds


def _measure_times(results: Results, rounds: int) -> None:
    with ExitStack() as stack:
        url, redis_url = serve(), stack.enter_context(fleet.valkey())
        os.environ[clients.REDIS_URL] = redis_url
        redis.Redis.from_url(redis_url).set(clients.KEY, "1")
        ask: dict[str, Callable[..., Any]] = {BASELINE: _import, IMPORT: _import}
        for name in CLIENTS | ROUND_TRIPS:
            ask[name] = stack.enter_context(_worker(name, url))
        for name in ask:  # a process that starts would disturb the others
            ask[name](Work(name))
        for title, works in _SECTIONS.items():
            _say(title)
            for number in range(rounds):
                # Each round starts with another client, so that none always follows the same one.
                first = number % len(works)
                for work in works[first:] + works[:first]:
                    results.seconds.setdefault(work, []).append(ask[work.name](work))
        for work in results.seconds:
            if work.name in _PROFILED:
                results.profiles[work] = ask[work.name](work, _PROFILED_CALLS, is_profiled=True)


def _measure_pacing(results: Results) -> None:
    for name in PACING:
        _say(f"pacing of {name}")
        fake = fleet.RecordingBinance(minute=3600)
        worker = partial(_worker, name, stderr=subprocess.DEVNULL)
        # The first refusal ends the process.
        with fake.serve() as url, worker(url) as ask, suppress(ValueError):
            ask(Work(name), calls=1000)
        results.pacing[name] = fake.until_refused()


def measure(rounds: int) -> Results:
    """Everything, from the installation on."""
    machine = f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}"
    machine = f"{machine}, CPython {platform.python_version()}"
    results = Results(datetime.now(UTC).date().isoformat(), machine)
    _say("installing")
    hatchling = Path(sys.executable).with_name("hatchling")
    _run(hatchling, "build", "--target", "wheel", "--clean", "--directory", _FOLDER)
    [wheel] = _FOLDER.glob("*.whl")
    environments = list(dict.fromkeys(client.environment for client in CLIENTS.values()))
    with ThreadPoolExecutor(2) as threads:
        installed = threads.map(partial(_install, wheel=wheel), environments)
        results.installed = dict(zip(environments, installed, strict=True))
    _measure_times(results, rounds)
    _measure_pacing(results)
    for name in fleet.FLEETS:
        _say(name)
        results.runs[name] = fleet.run(name)
    return results


if __name__ == "__main__":
    write(measure(max(2, int(sys.argv[1]))), HERE)
    _say("benchmarks/results.md is written")
