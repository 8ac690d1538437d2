"""Measures the contestants in turns, so that what disturbs the machine disturbs them all alike."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from benchmarks.contestants import (
    API_KEY,
    API_SECRET,
    COMMAND,
    CONTESTANTS,
    HTTPX_ASYNC,
    OURS,
    OURS_AIOHTTP,
    OURS_ASYNC,
    YARDSTICK,
    Contestant,
)
from benchmarks.environments import ROOT, Environment, OutOfTheRaceError

T = TypeVar("T")

# What each contestant took, round by round.
Rounds = dict[str, list[float]]
Urls = dict[int, str]  # by the number of coins in the answer


class Effort(NamedTuple):
    """How long to measure: so many rounds, or fewer where they take more than so many seconds."""

    rounds: int
    seconds: float


# By the number of coins in the answer, with the calls that make a turn. Turns are short, so that
# those of one round see the same disturbances.
_CALLS = {
    1: (Effort(150, 80), 25),
    10: (Effort(40, 20), 20),
    100: (Effort(40, 20), 10),
    1000: (Effort(40, 40), 4),
}
_TASKS, _TASKS_CALLS = 100, 200
_TASKS_EFFORT = Effort(8, 40)
_IMPORT_EFFORT = Effort(11, 45)
_START_EFFORT = Effort(7, 45)
_FEW_CALLS, _MANY_CALLS = 100, 1000
_SCALES = ((1, 1), (1, 10), (1, 100), (1, 1000), (10, 10), (100, 100))  # (clients, tasks)
_SCALED = (OURS_ASYNC, OURS_AIOHTTP, HTTPX_ASYNC)
_SCALE_CALLS = 500
# Who is profiled with how many coins, and the calls that it takes.
_PROFILED = {(OURS, 1): 500, (OURS_AIOHTTP, 1): 500, (OURS, 1000): 50}
_FEWEST_ROUNDS = 3
_PATIENCE = 60.0  # seconds for one short process

BASELINE = "httpx and attrs"
LISTING = "the command `binance-small-liability list`"


class Turn(NamedTuple):
    """What one call took on average, when a contestant had its turn.

    Attributes:
        seconds: by the clock.
        processor_seconds: of the contestant alone; the time of the server is not in it.
        peak_kib: the most KiB that the process held since it started.
    """

    seconds: float
    processor_seconds: float
    peak_kib: int


class Scale(NamedTuple):
    """So many clients and tasks, and what they came to: None if it took too long."""

    clients: int
    tasks: int
    turn: Turn | None


@dataclass
class Results:
    """All that was measured.

    Attributes:
        environments: by name.
        out: who could not be measured, and why.
        calls: seconds per call, by the number of coins in the answer.
        processor: seconds of the contestant's own processor time per call of one coin.
        throughput: seconds per call of 100 tasks together.
        imports: seconds.
        starts: seconds from the start of a process to its first line of output.
        peaks: the most KiB that a process held, after 100 calls and after 1,000.
        scales: what more tasks and more clients come to.
        profiles: seconds by package, as a profiler saw them, by contestant and number of coins.
        imported: modules that importing this package adds to importing what it is built on.
    """

    environments: dict[str, Environment]
    out: dict[str, str]
    calls: dict[int, Rounds] = field(default_factory=dict)
    processor: Rounds = field(default_factory=dict)
    throughput: Rounds = field(default_factory=dict)
    imports: Rounds = field(default_factory=dict)
    starts: Rounds = field(default_factory=dict)
    peaks: dict[str, tuple[int, int]] = field(default_factory=dict)
    scales: dict[str, list[Scale]] = field(default_factory=dict)
    profiles: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    imported: list[str] = field(default_factory=list)

    def running(self) -> list[Contestant]:
        """Those that are still in the race."""
        return [contestant for name, contestant in CONTESTANTS.items() if name not in self.out]

    def _python(self, contestant: Contestant) -> str:
        return str(self.environments[contestant.environment].python)

    def measure(self, say: Callable[[str], None]) -> None:
        """Measures everything; `say` is told how far it got."""
        with serving() as urls:
            say("time per call")
            self._measure_calls(urls)
            say("100 tasks together")
            self._measure_throughput(urls)
            say("imports")
            self._measure_imports()
            say("first answers")
            self._measure_starts(urls[1])
            say("memory")
            self._measure_memory(urls[1])
            say("growth")
            self._measure_growth(urls[1])
            say("profiles")
            self._profile(urls)

    def _in_turns(self, effort: Effort, turns: dict[str, Callable[[], T]]) -> dict[str, list[T]]:
        """Lets everyone have a turn in each round; whoever fails is out."""
        figures: dict[str, list[T]] = {name: [] for name in turns}
        end = perf_counter() + effort.seconds
        for number in range(effort.rounds):
            if number >= _FEWEST_ROUNDS and perf_counter() > end:
                break
            names = list(figures)
            # Nobody always follows the same one.
            first = number % len(names)
            for name in names[first:] + names[:first]:
                with self._judging(name):
                    figures[name].append(turns[name]())
                if name in self.out:
                    del figures[name]
        return figures

    @contextmanager
    def _judging(self, name: str) -> Iterator[None]:
        try:
            yield
        except OutOfTheRaceError as reason:
            self.out[name] = str(reason)

    def _measure_calls(self, urls: Urls) -> None:
        with ExitStack() as stack:
            workers = {
                contestant.name: stack.enter_context(self._worker(contestant))
                for contestant in [*self.running(), YARDSTICK]
            }
            for coins, (effort, calls) in _CALLS.items():
                turns = self._in_turns(
                    effort,
                    {
                        name: partial(worker.order, urls[coins], calls, coins=coins)
                        for name, worker in workers.items()
                        if name not in self.out
                    },
                )
                self.calls[coins] = _seconds(turns)
                if coins == 1:
                    self.processor = {
                        name: [turn.processor_seconds for turn in mine]
                        for name, mine in turns.items()
                    }

    def _measure_throughput(self, urls: Urls) -> None:
        with ExitStack() as stack:
            turns = self._in_turns(
                _TASKS_EFFORT,
                {
                    contestant.name: partial(
                        stack.enter_context(self._worker(contestant)).order,
                        urls[1],
                        _TASKS_CALLS,
                        tasks=_TASKS,
                    )
                    for contestant in self.running()
                    if contestant.is_async
                },
            )
        self.throughput = _seconds(turns)

    def _measure_imports(self) -> None:
        ours = CONTESTANTS[OURS]
        baseline = ours._replace(name=BASELINE, imports="httpx, attrs")
        self.imports = self._in_turns(
            _IMPORT_EFFORT,
            {
                contestant.name: partial(
                    _import_seconds, self._python(contestant), contestant.imports
                )
                for contestant in [baseline, *self.running()]
            },
        )
        # Where the extras are installed, so that importing them for nothing would show.
        python = self._python(CONTESTANTS[OURS_AIOHTTP])
        added = _modules(python, ours.imports) - _modules(python, baseline.imports)
        self.imported = sorted(name for name in added if not name.startswith(ours.imports))

    def _measure_starts(self, url: str) -> None:
        environment = os.environ | {
            "BINANCE_API_KEY": API_KEY,
            "BINANCE_API_SECRET": API_SECRET,
            "BINANCE_BASE_URL": url,
        }
        code = "import sys; from benchmarks.contestants import call_once; "
        code += "print(call_once(*sys.argv[1:]))"
        commands = {
            contestant.name: [
                self._python(contestant),
                "-E",
                "-s",
                "-c",
                code,
                contestant.name,
                url,
            ]
            for contestant in self.running()
        }
        commands[LISTING] = [str(self.environments[COMMAND].python.with_name(OURS)), "list"]
        self.starts = self._in_turns(
            _START_EFFORT,
            {
                name: partial(_seconds_to_first_line, command, environment)
                for name, command in commands.items()
            },
        )

    def _measure_memory(self, url: str) -> None:
        for contestant in self.running():
            with self._judging(contestant.name), self._worker(contestant) as worker:
                few = worker.order(url, _FEW_CALLS)
                many = worker.order(url, _MANY_CALLS - _FEW_CALLS)
                self.peaks[contestant.name] = few.peak_kib, many.peak_kib

    def _measure_growth(self, url: str) -> None:
        for contestant in self.running():
            if contestant.name in _SCALED:
                self.scales[contestant.name] = [
                    Scale(clients, tasks, self._scale(contestant, url, clients, tasks))
                    for clients, tasks in _SCALES
                ]

    def _scale(self, contestant: Contestant, url: str, clients: int, tasks: int) -> Turn | None:
        with self._worker(contestant) as worker:
            try:
                return worker.order(url, max(_SCALE_CALLS, tasks), tasks=tasks, clients=clients)
            except OutOfTheRaceError:
                return None

    def _profile(self, urls: Urls) -> None:
        for (name, coins), calls in _PROFILED.items():
            if name not in self.out:
                with self._worker(CONTESTANTS[name]) as worker:
                    self.profiles[name, coins] = worker.profile(urls[coins], calls, coins)

    @contextmanager
    def _worker(self, contestant: Contestant) -> Iterator["_Worker"]:
        worker = _Worker(self._python(contestant), contestant.name)
        try:
            yield worker
        finally:
            worker.close()


class _Worker:
    """A process of one contestant, which waits for orders."""

    def __init__(self, python: str, name: str) -> None:
        self._process = subprocess.Popen(
            [python, "-E", "-s", "-m", "benchmarks.worker", name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def order(
        self, url: str, calls: int, *, coins: int = 1, tasks: int = 1, clients: int = 1
    ) -> Turn:
        """Has calls made."""
        answer = self._ask(url=url, calls=calls, coins=coins, tasks=tasks, clients=clients)
        return Turn(
            answer["ns"] / 1e9 / calls, answer["processor_ns"] / 1e9 / calls, answer["peak_kib"]
        )

    def profile(self, url: str, calls: int, coins: int) -> dict[str, float]:
        """Has calls made under a profiler; returns seconds by package."""
        answer = self._ask(url=url, calls=calls, coins=coins, tasks=1, clients=1, profiled=True)
        seconds: dict[str, float] = answer["seconds"]
        return seconds

    def _ask(self, *, profiled: bool = False, **order: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            print(json.dumps(order | {"profiled": profiled}), file=self._process.stdin, flush=True)
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            raise OutOfTheRaceError("its process ended") from None
        if "problem" in answer:
            raise OutOfTheRaceError(answer["problem"])
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate(timeout=_PATIENCE)


def _seconds(turns: dict[str, list[Turn]]) -> Rounds:
    return {name: [turn.seconds for turn in mine] for name, mine in turns.items()}


@contextmanager
def serving() -> Iterator[Urls]:
    """The server, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        ports = json.loads(process.stdout.readline())
        yield {int(coins): f"http://127.0.0.1:{port}" for coins, port in ports.items()}


def _output(python: str, code: str) -> str:
    done = subprocess.run(
        [python, "-I", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    if done.returncode:
        raise OutOfTheRaceError(done.stderr.strip().splitlines()[-1])
    return done.stdout


def _import_seconds(python: str, imports: str) -> float:
    code = f"from time import perf_counter as now; start = now(); import {imports}; "
    return float(_output(python, code + "print(now() - start)"))


def _modules(python: str, imports: str) -> set[str]:
    return set(_output(python, f"import sys, {imports}; print(*sys.modules)").split())


def _seconds_to_first_line(command: list[str], environment: dict[str, str]) -> float:
    start = perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        seconds = perf_counter() - start
    if process.returncode or not line.strip():
        raise OutOfTheRaceError(f"its process ended with status {process.returncode}")
    return seconds
