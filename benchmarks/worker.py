"""One contestant in a process of its own, which does as it is told, line by line.

Each line on standard input is an order in JSON; each is answered by a line of JSON on standard
output. The process ends with its input.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any, NoReturn

from benchmarks.contestants import CONTESTANTS, YARDSTICK, Contestant

# Seconds that one order may take; whoever takes longer is out.
_PATIENCE = 60
_WARM_UP = 3  # calls
_WARM_TASKS = 100
_STATUS = Path("/proc/self/status")

Call = Callable[[], Any]
Calls = list[Call]


def _peak_kib() -> int:
    """The most memory this process ever held, in KiB."""
    if _STATUS.exists():
        # The more portable figure counts what the parent held before it started this process.
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


class _SyncWorker:
    def __init__(self, contestant: Contestant) -> None:
        self.open = contestant.open

    def run(self, calls: Calls, count: int, tasks: int) -> tuple[int, Any]:
        """Makes `count` calls; returns nanoseconds, and what the last call returned."""
        assert tasks == len(calls) == 1
        [call] = calls
        start = perf_counter_ns()
        for _ in range(count):
            result = call()
        return perf_counter_ns() - start, result


class _AsyncWorker:
    def __init__(self, contestant: Contestant) -> None:
        # A contestant that does without it must not pay for it.
        import asyncio

        self._contestant = contestant
        self._runner = asyncio.Runner()
        self._gather = asyncio.gather

    def open(self, url: str) -> Call:
        async def opened() -> Call:
            return self._contestant.open(url)

        return self._runner.run(opened())

    def run(self, calls: Calls, count: int, tasks: int) -> tuple[int, Any]:
        """As `_SyncWorker.run`, but `tasks` share the calls evenly, and the clients too."""

        async def work(call: Call) -> Any:
            for _ in range(count // tasks):
                result = await call()
            return result

        async def together() -> tuple[int, Any]:
            start = perf_counter_ns()
            results = await self._gather(*(work(calls[n % len(calls)]) for n in range(tasks)))
            return perf_counter_ns() - start, results[-1]

        return self._runner.run(together())


class _TooSlowError(BaseException):
    """What no library catches."""


def _give_up(*_: object) -> NoReturn:
    raise _TooSlowError(f"it took more than {_PATIENCE} s")


def _obey(
    worker: _SyncWorker | _AsyncWorker, clients: dict[str, Calls], order: dict[str, Any]
) -> dict[str, Any]:
    calls = clients.setdefault(order["url"], [])
    while len(calls) < order["clients"]:
        calls.append(worker.open(order["url"]))
    tasks = order["tasks"]
    # Connections are opened, and code is specialised, before the clock runs.
    warm_tasks = min(tasks, _WARM_TASKS)
    _, result = worker.run(calls, max(_WARM_UP, warm_tasks), warm_tasks)
    if len(result) != order["coins"]:
        raise ValueError(f"{len(result)} coins came back instead of {order['coins']}")
    if order["profiled"]:
        return {"seconds": profile_by_package(lambda: worker.run(calls, order["calls"], tasks))}
    start = process_time_ns()
    nanoseconds, _ = worker.run(calls, order["calls"], tasks)
    processor = process_time_ns() - start
    return {"ns": nanoseconds, "processor_ns": processor, "peak_kib": _peak_kib()}


def profile_by_package(run: Call) -> dict[str, float]:
    """Seconds by the package whose code they were spent in."""
    import cProfile

    profile = cProfile.Profile()
    profile.runcall(run)
    seconds: dict[str, float] = {}
    for function in profile.getstats():
        # What is built into Python counts where it was called.
        if not isinstance(function.code, str):
            builtins = [call for call in function.calls or () if isinstance(call.code, str)]
            package = _package(function.code.co_filename)
            spent = function.inlinetime + sum(call.inlinetime for call in builtins)
            seconds[package] = seconds.get(package, 0) + spent
    return seconds


def _package(file: str) -> str:
    if file.startswith("<attrs generated "):
        # "<attrs generated methods binance_small_liability._coin.Coin>"
        return file.rstrip(">").split()[-1].partition(".")[0]
    folders = Path(file).parts
    if "site-packages" in folders:
        return folders[folders.index("site-packages") + 1]
    if __package__ in folders:
        return __package__
    return "Python's library"


def _serve(contestant: Contestant) -> None:
    signal.signal(signal.SIGALRM, _give_up)
    worker = _AsyncWorker(contestant) if contestant.is_async else _SyncWorker(contestant)
    clients: dict[str, Calls] = {}
    for line in sys.stdin:
        signal.alarm(_PATIENCE)
        try:
            answer: dict[str, Any] = _obey(worker, clients, json.loads(line))
        except (Exception, _TooSlowError) as problem:  # whatever a library raises is the answer
            answer = {"problem": f"{type(problem).__name__}: {problem}"}
        signal.alarm(0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve({**CONTESTANTS, YARDSTICK.name: YARDSTICK}[sys.argv[1]])
    # Nothing is closed, and some libraries would complain about that.
    os._exit(0)
