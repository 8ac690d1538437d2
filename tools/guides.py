"""Writes the parts of README and guides that repeat the contract or the code.

A marked part is between `<!-- NAME: written by make generate -->` and `<!-- end -->`. In a block of
`console`, the output of a command is what it prints against a fake Binance.

    python -m tools.guides
"""

import contextlib
import inspect
import io
import os
import re
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import binance_small_liability
from binance_small_liability import _errors as _errors_module
from binance_small_liability._call.retry import LONGEST_BACKOFF
from binance_small_liability._config import MAX_ATTEMPTS, MAX_RETRY_WAIT, TIMEOUT
from binance_small_liability.cli.main import run
from binance_small_liability.operations import ALL
from binance_small_liability.testing import FakeBinance
from binance_small_liability_api import records

from tools.contract import ROOT, definition_of, today

PAGES = ROOT / "docs/pages"
PROGRAM = "binance-small-liability"
_MARKED = re.compile(
    r"(?P<begin>^<!-- (?P<name>[\w-]+): written by make generate -->\n).*?(?=^<!-- end -->$)",
    re.MULTILINE | re.DOTALL,
)
# The time of an exchange differs in each run.
_TIME = re.compile(r"20\d\d-\d\d-\d\dT[\d:.]+Z")
_FENCE = re.compile(
    r"(?:^ *<!-- (?P<marker>not run|needs): (?P<reason>[^\n]+?) -->\n)?"
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A block of code in a page; `section` is the number of headings of level 2 before it."""

    section: int
    language: str
    title: str
    text: str
    marker: str
    reason: str


def pages() -> list[Path]:
    """README and guides, without what `make docs` copies."""
    guides = sorted(PAGES.glob("*.md"))
    return [ROOT / "README.md", *(page for page in guides if page.name != "benchmarks.md")]


def blocks(page: Path) -> list[Block]:
    """The blocks of code in a page."""
    text = page.read_text("utf-8")
    return [
        Block(
            len(re.findall("^## ", text[: match.start()], re.MULTILINE)),
            match["language"],
            match["title"] or "",
            textwrap.dedent(match["text"]),
            match["marker"] or "",
            match["reason"] or "",
        )
        for match in _FENCE.finditer(text)
    ]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands in a block of console, and the outputs that it shows."""
    for shown in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = shown.partition("\n")
        yield command, output


def written(page: Path) -> str:
    """The page as it should be. Raises RuntimeError if a command fails."""
    text = _MARKED.sub(lambda part: part["begin"] + PARTS[part["name"]](), page.read_text("utf-8"))
    try:
        return _FENCE.sub(_with_outputs, text)
    except RuntimeError as error:
        raise RuntimeError(f"{page.relative_to(ROOT)}: {error}") from error


def _with_outputs(block: "re.Match[str]") -> str:
    """A block of console with what its commands print. Each block has a new fake Binance."""
    if block["language"] != "console" or f"$ {PROGRAM} " not in block["text"]:
        return block[0]
    fake = FakeBinance()
    outputs = []
    with fake.serve() as url, tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        variables = fake.environment(url)
        lines = "".join(f"{name}={value}\n" for name, value in variables.items())
        Path("mock.env").write_text(lines)
        for command, shown in commands(block["text"]):
            program, *arguments = shlex.split(command)
            output = _output(arguments, variables) if program == PROGRAM else shown
            if _TIME.sub("", output) == _TIME.sub("", shown):
                output = shown
            outputs.append(f"$ {command}\n{output}")
    return f"```console\n{''.join(outputs)}```"


def _output(arguments: list[str], variables: dict[str, str]) -> str:
    """What a command prints. A process of its own would take 0.5 s. Raises RuntimeError."""
    printed, failed = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with (
        patch.dict(os.environ, variables),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(failed),
    ):
        code = run(arguments)
    for stream in (printed, failed):
        stream.seek(0)
    if code:
        raise RuntimeError(f"`{' '.join(arguments)}` failed: {failed.read().strip()}")
    return printed.read()


def _durations() -> str:
    limits, between = MAX_RETRY_WAIT, MAX_RETRY_WAIT
    clock = limits + 2 * TIMEOUT
    longest = MAX_ATTEMPTS * (limits + TIMEOUT) + (MAX_ATTEMPTS - 1) * between + clock
    phases = [
        ("waits for limits before an attempt, in all", f"{limits:g} s", "`max_retry_wait`"),
        ("an attempt", f"{TIMEOUT:g} s", "`timeout`"),
        ("a wait after a failure", f"{LONGEST_BACKOFF:g} s", "`max_retry_wait`, if it is shorter"),
        ("a wait after a 429", f"{between:g} s", "`max_retry_wait`"),
        (
            "a corrected clock, once in a call: waits for limits, a request for the time, and the"
            " repeated request",
            f"{clock:g} s",
            "`max_retry_wait`, `timeout`",
        ),
        (
            f"**the whole call**: {MAX_ATTEMPTS} attempts, the waits before and between them, and a"
            " corrected clock",
            f"**{longest:g} s**",
            "`max_attempts`; 1 turns off all waits",
        ),
    ]
    head = ["| step | default maximum | option |", "|---|---|---|"]
    return _lines(head + [f"| {' | '.join(phase)} |" for phase in phases])


def _limits() -> str:
    counted = {"IP": "IP address", "UID": "account (UID)"}
    lines = ["| call | counted by | weight | budget per minute | calls per minute |"]
    lines.append("|---|---|---|---|---|")
    for each in ALL.values():
        if each.weight_per_minute is not None:
            calls = each.weight_per_minute // each.weight
            lines.append(
                f"| `{each.name}` | {counted[each.limiter]} | {each.weight:,}"
                f" | {each.weight_per_minute:,} | {calls:,} |"
            )
    return _lines(lines)


def _permissions() -> str:
    needed = {
        "NONE": "no key",
        "MARKET_DATA": "any permission",
        "USER_DATA": "permission to read",
        "MARGIN": "permission to read and permission for margin",
    }
    lines = ["| to call | the key needs |", "|---|---|"]
    for each in ALL.values():
        kind = definition_of(today(), each.method, each.path)["x-security-type"]
        if each.has_key:
            lines.append(f"| `{each.name}` | {needed[kind]} |")
    return _lines(lines)


def _operations() -> str:
    lines = ["| operation | parameters |", "|---|---|"]
    for each in ALL.values():
        if each.method == "GET":
            names = [
                f"`{name}`" if parameter.required else f"`{name}` (optional)"
                for name, parameter in each.parameters.items()
            ]
            lines.append(f"| `{each.name}` | {', '.join(names) or '–'} |")
    return _lines(lines)


def _http_operations() -> str:
    lines = ["| operation | Binance's title | request |", "|---|---|---|"]
    for each in ALL.values():
        request, summary = f"`{each.method} {each.path}`", str(each.__doc__).partition(".")[0]
        lines.append(f"| `{each.name}` | {summary} | {request} |")
    return _lines(lines)


def _record_reference() -> str:
    public = binance_small_liability.__all__
    return "\n".join(
        f"::: binance_small_liability.{name}\n    options:\n      members: false\n"
        for name in public
        if getattr(records, name, None) is getattr(binance_small_liability, name)
    )


def _operation_reference() -> str:
    return "\n".join(f"::: binance_small_liability_api.operations.{name}\n" for name in ALL)


def _errors() -> str:
    lines = ["| error | what happened |", "|---|---|"]
    for error in _error_classes():
        summary = str(inspect.getdoc(error)).partition("\n")[0]
        lines.append(f"| `{error.__name__}` | {summary.removesuffix('.')} |")
    return _lines(lines)


def _error_tree() -> str:
    tree = str(_errors_module.__doc__).split("\n\n")[1]
    return f"```text\n{textwrap.dedent(tree)}\n```\n"


def _error_reference() -> str:
    return "\n".join(
        f"::: binance_small_liability.{error.__name__}\n" for error in _error_classes()
    )


def _error_classes() -> Iterator[type[Exception]]:
    """The public errors, each after its parent."""

    def visit(error: type[Exception]) -> Iterator[type[Exception]]:
        yield error
        for child in error.__subclasses__():
            if child.__name__ in binance_small_liability.__all__:
                yield from visit(child)

    yield from visit(binance_small_liability.SmallLiabilityError)


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


PARTS: dict[str, Callable[[], str]] = {
    "version": lambda: f"These pages describe version {binance_small_liability.__version__}.\n",
    "durations": _durations,
    "limits": _limits,
    "permissions": _permissions,
    "operations": _operations,
    "http-operations": _http_operations,
    "record-reference": _record_reference,
    "operation-reference": _operation_reference,
    "errors": _errors,
    "error-tree": _error_tree,
    "error-reference": _error_reference,
}


def main() -> str | None:
    """Writes the pages; returns what is wrong, in one line, or None."""
    try:
        # Imported here, because it raises an error for an operation that lacks a method.
        from tools.operations import wrong_examples

        # The fake answers the contract's examples.
        if problem := next(wrong_examples(), None):
            return problem
        texts = {page: written(page) for page in pages()}
    except (LookupError, RuntimeError) as error:
        return str(error)
    for page, text in texts.items():
        page.write_text(text, "utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
