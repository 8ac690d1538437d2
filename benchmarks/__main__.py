"""Installs the contestants, measures them, and writes `results.md` and `results.svg`."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from benchmarks.contestants import COMMAND, CONTESTANTS
from benchmarks.environments import Environment, OutOfTheRaceError, build_wheel, prepare
from benchmarks.measuring import Results
from benchmarks.report import chart, report

_HERE = Path(__file__).resolve().parent
_START = monotonic()


def _say(text: str) -> None:
    print(f"{monotonic() - _START:4.0f} s  {text}", flush=True)


def _prepared() -> Results:
    wheel = build_wheel()
    environments: dict[str, Environment] = {}
    out: dict[str, str] = {}
    for name in dict.fromkeys([*(c.environment for c in CONTESTANTS.values()), COMMAND]):
        _say(f"installing for {name}")
        users = [c for c in CONTESTANTS.values() if c.environment == name]
        try:
            environments[name] = prepare(name, wheel)
        except OutOfTheRaceError as reason:
            if not any(contestant.is_peer for contestant in users):
                sys.exit(f"{name}: {reason}\nAfter a change of dependencies: make lock")
            out.update({contestant.name: str(reason) for contestant in users})
    return Results(environments, out)


def _machine() -> str:
    """The kind of machine; nothing that tells which one."""
    model = platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        fields = (line.partition(":") for line in information.read_text("utf-8").splitlines())
        model = next((value for key, _, value in fields if key.strip() == "model name"), model)
    return (
        f"{os.cpu_count()} cores of {model.strip()}, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def _main() -> None:
    results = _prepared()
    results.measure(_say)
    explanations = (_HERE / "explanations.md").read_text("utf-8")
    date = datetime.now(UTC).date().isoformat()
    machine = _machine()
    (_HERE / "results.md").write_text(report(results, date, machine, explanations), "utf-8")
    (_HERE / "results.svg").write_text(chart(results, date, machine), "utf-8")
    _say("benchmarks/results.md and benchmarks/results.svg are written")


if __name__ == "__main__":
    _main()
