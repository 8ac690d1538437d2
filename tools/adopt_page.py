"""Puts what pages of Binance's documentation say into openapi.yaml, as the smallest edit.

Prints the diff, one line for each change with the page's words, and whether the file changed. The
exit code is 0 if the contract now agrees with all pages. It is 2, and nothing changes, if a page
cannot be read or adopted. What a page does not say is guessed and listed under `x-unknown`.

    python -m tools.adopt_page page.md another.html
    python -m tools.adopt_page --replaces list_coins --source https://… page.md
"""

import argparse
import difflib
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.adoption import RefusedError, adopted
from tools.adoption.move import move
from tools.check_generated import generate
from tools.contract import OPENAPI_YAML, operations
from tools.page import read_pages
from tools.sections import UnreadableError, read
from tools.terminal import say
from tools.yaml_edits import Document, same


def adopt(
    text: str, names: list[str], replaces: str = "", source: str = ""
) -> tuple[str, list[str]]:
    """The text of the contract after which pages agree, and a line for each change.

    Raises RefusedError.
    """
    if (replaces or source) and len(names) > 1:
        raise RefusedError("REPLACES and SOURCE are facts of one page")
    lines: list[str] = []
    document = Document(text)
    for name in names:
        try:
            pages = read_pages(read(name))
            document, changes = move(document, replaces, pages) if replaces else (document, [])
            old = document.value
            new, others = adopted(old, pages, replaces, source)
            document = document if same(old, new) else document.edited(new)
        except UnreadableError as error:
            raise RefusedError(f"{name}: cannot be read: {error.reason}") from error
        except (RefusedError, RuntimeError) as error:
            raise RefusedError(f"{name}: {error}") from error
        known = _guesses(old)
        guesses = [f"unknown: {each[1]}" for each in _guesses(new) if each not in known]
        lines += [f"{name}: {line}" for line in [*changes, *others, *guesses]]
    return document.text, lines


def _guesses(contract: Any) -> list[tuple[str, str]]:
    """What the contract lists as unknown, with the name of the operation."""
    described = [contract["paths"][path][method.lower()] for method, path in operations(contract)]
    return [
        (each["operationId"], sentence)
        for each in described
        for sentence in each.get("x-unknown", ())
    ]


def _check_generates(text: str) -> None:
    """Raises RefusedError if the wire client cannot be generated from a contract."""
    with tempfile.TemporaryDirectory() as folder:
        contract = Path(folder, "openapi.yaml")
        contract.write_text(text, "utf-8")
        try:
            generate(Path(folder, "package"), contract)
        except RuntimeError as error:
            reason = str(error).strip().rpartition("\n")[2].removeprefix(f"{contract}: ")
            raise RefusedError(reason) from error


def _write(text: str, path: Path) -> None:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, delete=False
    ) as written:
        written.write(text)
    Path(written.name).chmod(path.stat().st_mode)
    Path(written.name).replace(path)


def main(arguments: list[str], contract: Path = OPENAPI_YAML) -> int:
    """Returns 0 if the contract now agrees with the pages, 2 if it was refused."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="+", help="files in HTML or Markdown; - is standard input")
    parser.add_argument("--replaces", default="", help="the operation that moved to this endpoint")
    parser.add_argument("--source", default="", help="the address of the page")
    given = parser.parse_args(arguments)
    text = contract.read_text("utf-8")
    try:
        new, lines = adopt(text, given.pages, given.replaces, given.source)
        if new != text:
            _check_generates(new)
    except RefusedError as error:
        say(f"refused, and nothing was changed: {' '.join(str(error).split())}", sys.stderr)
        return 2
    if new != text:
        _write(new, contract)
        diff = difflib.unified_diff(
            text.splitlines(), new.splitlines(), contract.name, contract.name, lineterm=""
        )
        say("\n".join([*diff, "", *lines]))
    say(f"{contract.name} was changed" if new != text else f"{contract.name} already agrees")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
