"""Do the tests notice a change of the code? mutmut makes one small change after another.

It runs the tests that reach the changed function, and reports each change that they do not notice.

    make mutants                          # every module
    make mutants MODULE="retry _records"  # some of them

The report is tests/mutants.md. Write the reason for a survivor into its row: the next run keeps it.
The command fails if fewer than 97 % are killed or if a survivor has no reason.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "tests/mutants.md"
STAGE = ROOT / "reports/mutants"
AIM = 97  # percent
MISSING = "TODO"

# Modules that the same tests cover. The tests are those that run fast and in this process.
PARTS: list[tuple[str, list[str], list[str]]] = [
    (
        "src/binance_small_liability/_call",
        ["limits", "retry", "answer", "clock", "signing", "keys", "redaction"],
        ["limits", "retry", "errors", "clock", "signing", "keys", "pacing", "exchange", "redaction"],
    ),
    (
        "src/binance_small_liability/_call",
        ["call", "sending"],
        ["retry", "clock", "limits", "pacing", "exchange", "exchange_outcomes", "secrecy"],
    ),
    (
        "src/binance_small_liability/_io",
        ["connections", "threads", "tasks", "network", "http", "messages"],
        ["connections", "concurrency", "aiohttp", "exchange_outcomes", "signing", "secrecy"],
    ),
    (
        "src/binance_small_liability",
        ["_records", "_history", "_operations"],
        ["records", "history", "exchange", "errors"],
    ),
    ("src/binance_small_liability/testing", ["_checks", "_weights"], ["checks", "weights"]),
    ("tools", ["check_page"], ["check_page"]),
]

# mutmut finds modules only below src/ and the folder itself, so it works in a folder of links.
_CONFIG = """
[tool.mutmut]
source_paths = ["src", "tools"]
also_copy = ["openapi.yaml", "generated"]
only_mutate = {modules}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=20"]
do_not_mutate_patterns = ['\\blog\\.\\w+\\($', 'TypeVar\\(']  # texts of the log, and types
track_dependencies = false
timeout_multiplier = 4.0
timeout_constant = 5.0
"""
_ROW = re.compile(r"\| `(.+?)` \| (.+) \| (.*) \|")
_HEADER = """# Mutation tests

`make mutants` changes the code in one place at a time and runs the tests that reach that place. A
change that they notice is killed; one that they do not notice survives. This report is written by
that command. Only the reasons are written by hand: the command keeps them.

mutmut changes the bodies of functions. It does not change constants of a module, classes' fields,
or functions with a decorator other than `@staticmethod` and `@classmethod`. A change that makes a
test run out of time counts as killed.
"""


class Survivor(NamedTuple):
    """A change that no test notices. It has the same name after the code around it has changed."""

    function: str
    change: str


class Result(NamedTuple):
    """What became of the mutants of one module."""

    total: int
    killed: int
    date: str
    survivors: dict[Survivor, str]


def main(wanted: list[str]) -> int:
    """Tests the modules that are named, or all. Returns the exit code."""
    known = {name for _, names, _ in PARTS for name in names}
    if unknown := set(wanted) - known:
        print(f"unknown: {' '.join(sorted(unknown))}; known: {' '.join(sorted(known))}")
        return 2
    results = _read(REPORT) if REPORT.exists() else {}
    for folder, names, tests in PARTS:
        chosen = [name for name in names if not wanted or name in wanted]
        if chosen:
            results |= _run(folder, chosen, tests, results)
            REPORT.write_text(_report(results), "utf-8")
    total, killed = _sums(results.values())
    missing = sum(MISSING in each.survivors.values() for each in results.values())
    print(f"{killed} of {total} mutants are killed: {killed / total:.1%}. See {REPORT.name}.")
    if missing:
        print(f"Survivors without a reason: look for {MISSING} in {REPORT.name}.")
    return 1 if missing or killed * 100 < total * AIM else 0


def _run(
    folder: str, names: list[str], tests: list[str], before: dict[str, Result]
) -> dict[str, Result]:
    modules = [f"{folder}/{name}.py" for name in names]
    files = [
        str(path.relative_to(ROOT))
        for name in tests
        for path in sorted(ROOT.glob(f"tests/[!c]*/test_{name}.py"))
        + sorted(ROOT.glob(f"tests/client/test_{name}.py"))
    ]
    _stage(_CONFIG.format(modules=json.dumps(modules), tests=json.dumps(files)))
    done = _mutmut("run")
    if done.returncode:
        sys.exit(done.stdout)
    statuses: dict[str, dict[str, str]] = defaultdict(dict)
    for line in _mutmut("results", "--all", "true").stdout.splitlines():
        mutant, _, status = line.strip().rpartition(": ")
        statuses[mutant.rpartition(".")[0]][mutant] = status
    return {module: _result(module, of_module, before) for module, of_module in statuses.items()}


def _stage(config: str) -> None:
    shutil.rmtree(STAGE, ignore_errors=True)
    STAGE.mkdir(parents=True)
    for name in ("tests", "tools", "generated", "openapi.yaml"):
        (STAGE / name).symlink_to(ROOT / name)
    (STAGE / "src").symlink_to(ROOT / "wrapper")
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    (STAGE / "pyproject.toml").write_text(text + config, "utf-8")


def _mutmut(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [Path(sys.executable).with_name("mutmut"), *arguments],
        cwd=STAGE,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _result(module: str, statuses: dict[str, str], before: dict[str, Result]) -> Result:
    reasons = before[module].survivors if module in before else {}
    survivors = [_survivor(name) for name, status in statuses.items() if not _is_killed(status)]
    return Result(
        total=len(statuses),
        killed=len(statuses) - len(survivors),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        survivors={each: reasons.get(each, MISSING) for each in survivors},
    )


def _is_killed(status: str) -> bool:
    return status in ("killed", "timeout")


def _survivor(mutant: str) -> Survivor:
    diff = _mutmut("show", mutant).stdout.splitlines()[3:]
    sides = [
        " ".join(line[1:].strip() for line in diff if line.startswith(sign)) for sign in ("-", "+")
    ]
    function = mutant.rpartition(".")[2].partition("__mutmut_")[0]
    function = function.removeprefix("x").strip("ǁ").replace("ǁ", ".").removeprefix("_")
    return Survivor(function, " → ".join(f"`` {_escaped(side)} ``" for side in sides))


def _escaped(code: str) -> str:
    return code.replace("|", r"\|")


def _sums(results: Iterable[Result]) -> tuple[int, int]:
    counts = [(each.total, each.killed) for each in results]
    return sum(total for total, _ in counts), sum(killed for _, killed in counts)


def _report(results: dict[str, Result]) -> str:
    return "\n".join([_HEADER, *_table(results), "", "## Survivors", *_survivors(results), ""])


def _table(results: dict[str, Result]) -> Iterator[str]:
    yield "| module | mutants | killed | survived | date |"
    yield "|---|---|---|---|---|"
    for module, (total, killed, date, _) in sorted(results.items()):
        yield f"| `{module}` | {total} | {killed} | {total - killed} | {date} |"
    total, killed = _sums(results.values())
    yield f"| all | {total} | {killed} ({killed / total:.1%}) | {total - killed} | |"


def _survivors(results: dict[str, Result]) -> Iterator[str]:
    for module, result in sorted(results.items()):
        if result.survivors:
            yield from ("", f"### {module}", "", "| function | change | reason |", "|---|---|---|")
        for (function, change), reason in result.survivors.items():
            yield f"| `{function}` | {change} | {reason} |"


def _read(report: Path) -> dict[str, Result]:
    """The results and reasons of an earlier run."""
    table, _, rest = report.read_text("utf-8").partition("## Survivors")
    reasons: dict[str, dict[Survivor, str]] = defaultdict(dict)
    for section in rest.split("\n### ")[1:]:
        module, *lines = section.splitlines()
        for row in filter(None, map(_ROW.fullmatch, lines)):
            reasons[module][Survivor(row[1], row[2])] = row[3]
    rows = re.findall(r"\| `(.+)` \| (\d+) \| (\d+) \| \d+ \| (.+) \|", table)
    return {
        module: Result(int(total), int(killed), date, reasons[module])
        for module, total, killed, date in rows
    }


if __name__ == "__main__":
    # Node and other tools that a module looks for are those of this project.
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
