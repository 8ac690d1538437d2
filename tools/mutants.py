"""Checks that the tests notice changes of the code. mutmut makes one small change at a time.

It runs the tests that reach the changed function, and reports each change that they do not notice.

    make mutants                          # every module
    make mutants MODULE="retry _history"  # some of them

The report is tests/mutants.md. Write the reason for a survivor into its row: the next run keeps it.
The command fails if fewer than 97 % are killed or if a survivor has no reason.
"""

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tools.check_generated import PACKAGE

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "tests/mutants.md"
MUTMUT = Path(sys.executable).with_name("mutmut")
AIM = 97  # percent
MISSING = "TODO"
BREAK = "<br>"  # between changes that survive for the same reason


class Part(NamedTuple):
    """Modules that the same tests cover: tests that run fast and in this process."""

    folder: str
    modules: list[str]
    tests_folder: str
    tests: list[str]


PARTS = [
    Part(
        "src/binance_small_liability/_call",
        ["pacing", "limits", "retry", "clock", "signing", "keys", "arguments"],
        "client",
        ["limits", "retry", "errors", "clock", "signing", "keys", "pacing", "exchange", "call"],
    ),
    Part(
        "src/binance_small_liability/_call",
        ["answer"],
        "client",
        ["errors", "retry", "limits", "exchange", "faults"],
    ),
    Part(
        "src/binance_small_liability/_call",
        ["call"],
        "client",
        ["errors", "retry", "clock", "limits", "call", "exchange", "config", "connections"],
    ),
    Part(
        "src/binance_small_liability/_io",
        ["connections", "threads", "tasks", "network", "http", "messages"],
        "client",
        ["io", "connections", "concurrency", "exchange", "errors", "signing", "config"],
    ),
    Part(
        "src/binance_small_liability",
        ["_history", "_secrets"],
        "client",
        ["history", "exchange", "errors", "redaction"],
    ),
    Part("generated", ["generate"], "contract", ["generated"]),
    # The copies of `generated/runtime/`.
    Part("src/binance_small_liability_api", ["operation", "values"], "contract", ["generated"]),
    Part(
        "src/binance_small_liability/testing",
        ["_checks", "_weights"],
        "fake",
        ["checks", "weights"],
    ),
    Part(
        "tools",
        ["check_page", "comparison", "page", "sections", "examples", "statements", "yaml_edits"],
        "tools",
        ["check_page", "adopt_page"],
    ),
]

# mutmut finds modules only below src/ and the folder itself, so it works in a folder of its own.
_CONFIG = """
[tool.mutmut]
source_paths = ["src", "tools", "generated"]
also_copy = ["openapi.yaml"]
only_mutate = {modules}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = [
  "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=20",
  # It fails at the end of a process in which pytest runs more than once.
  "-p", "no:unraisableexception",
  # mutmut wraps every function, so the first test sees other frames. The second needs a Makefile.
  "--deselect=tests/client/test_config.py::test_from_env_takes_no_secret",
  "--deselect=tests/tools/test_check_page.py::test_make_reads_files_and_standard_input",
]
# Texts of the log, and types.
do_not_mutate_patterns = ['\\blog\\.\\w+\\(', 'TypeVar\\(', 'cast\\(']
track_dependencies = false
timeout_multiplier = 4.0
timeout_constant = 5.0
"""
_ROW = re.compile(r"\| `(.+?)` `(.+?)` \| (.+) \| ((?:[^|\\]|\\.)*) \|")
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
    known = {name: _path(part, name) for part in PARTS for name in part.modules}
    if unknown := set(wanted) - known.keys():
        print(f"unknown: {' '.join(sorted(unknown))}; known: {' '.join(sorted(known))}")
        return 2
    for part in PARTS:
        chosen = [name for name in part.modules if not wanted or name in wanted]
        if chosen:
            # Not within this folder: builds of the package follow links.
            with TemporaryDirectory(prefix="mutants-") as stage:
                fresh = _run(part._replace(modules=chosen), Path(stage))
            current = {
                module: each
                for module, each in (_read() | fresh).items()
                if module in known.values()
            }
            REPORT.write_text(_report(current), "utf-8")
    results = _read().values()
    total, killed = _sums(results)
    missing = any(MISSING in each.survivors.values() for each in results)
    print(f"{killed} of {total} mutants are killed: {killed / total:.1%}. See {REPORT.name}.")
    if missing:
        print(f"A survivor has no reason: look for {MISSING} in {REPORT.name}.")
    return 1 if missing or killed * 100 < total * AIM else 0


def _path(part: Part, module: str) -> str:
    return f"{part.folder}/{module}.py"


def _run(part: Part, stage: Path) -> dict[str, Result]:
    modules = [_path(part, name) for name in part.modules]
    tests = [f"tests/{part.tests_folder}/test_{name}.py" for name in part.tests]
    _prepare(stage, _CONFIG.format(modules=json.dumps(modules), tests=json.dumps(tests)))
    print(f"{' '.join(part.modules)}: progress is in {stage}/output", flush=True)
    with (stage / "output").open("w") as output:
        done = subprocess.run([MUTMUT, "run"], cwd=stage, check=False, stdout=output, stderr=output)
    if done.returncode:
        print(f"mutmut ended with {done.returncode}")
        sys.exit((stage / "output").read_text()[-3000:])
    before = _read()
    found: dict[str, Result] = {}
    for module in modules:
        prefix = module.removeprefix("src/").removesuffix(".py").replace("/", ".") + ".x"
        lines = (line.strip() for line in _mutmut(stage, "results", "--all", "true"))
        statuses = dict(line.rsplit(": ", 1) for line in lines if line.startswith(prefix))
        found[module] = _result(stage, statuses, before.get(module))
    return found


def _prepare(stage: Path, config: str) -> None:
    for name in ("tests", "tools", "generated", "openapi.yaml"):
        (stage / name).symlink_to(ROOT / name)
    for package in (ROOT / "wrapper/binance_small_liability", PACKAGE):
        shutil.copytree(package, stage / "src" / package.name)
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (stage / "pyproject.toml").write_text(project + config, "utf-8")


def _mutmut(stage: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        [MUTMUT, *arguments], cwd=stage, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def _result(stage: Path, statuses: dict[str, str], before: Result | None) -> Result:
    reasons = before.survivors if before else {}
    alive = [name for name, status in statuses.items() if status not in ("killed", "timeout")]
    survivors = [_survivor(name, _mutmut(stage, "show", name)) for name in alive]
    return Result(
        total=len(statuses),
        killed=len(statuses) - len(survivors),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        survivors={each: reasons.get(each, MISSING) for each in survivors},
    )


def _survivor(mutant: str, shown: list[str]) -> Survivor:
    # A status line and the two names of the file come first.
    old, new = (
        " ".join(line[1:].strip() for line in shown[3:] if line.startswith(sign)) for sign in "-+"
    )
    function = mutant.rpartition(".")[2].partition("__mutmut_")[0]
    name = function.replace("ǁ", ".")[2:]
    return Survivor(name, " → ".join(f"`` {code} ``".replace("|", r"\|") for code in (old, new)))


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
    yield from ("", "| function | changes | reason |", "|---|---|---|")
    for module, result in sorted(results.items()):
        changes = defaultdict(list)
        for (function, change), reason in result.survivors.items():
            changes[function, reason].append(change)
        for (function, reason), alike in changes.items():
            yield f"| `{module}` `{function}` | {BREAK.join(alike)} | {reason} |"


def _read() -> dict[str, Result]:
    """The results of earlier runs, with their reasons."""
    if not REPORT.exists():
        return {}
    table, _, rest = REPORT.read_text("utf-8").partition("## Survivors")
    reasons: dict[str, dict[Survivor, str]] = defaultdict(dict)
    for row in filter(None, map(_ROW.fullmatch, rest.splitlines())):
        for change in row[3].split(BREAK):
            reasons[row[1]][Survivor(row[2], change)] = row[4]
    rows = re.findall(r"\| `(.+)` \| (\d+) \| (\d+) \| \d+ \| (.+) \|", table)
    return {
        module: Result(int(total), int(killed), date, reasons[module])
        for module, total, killed, date in rows
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
