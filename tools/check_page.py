"""Compares openapi.yaml with a page of Binance's documentation.

Prints one line for each difference, the most important first, and then a verdict. `-` reads
standard input. The exit code is 0 if all pages agree, 1 if one differs, 2 if one cannot be read.

    python -m tools.check_page page.md another.html
"""

import sys
from pathlib import Path
from typing import Any

from tools.comparison import nearest
from tools.contract import OPENAPI_YAML, load
from tools.page import read_pages
from tools.sections import UnreadableError, read
from tools.terminal import say


def check(openapi: Any, name: str) -> int:
    """Print how a page differs from the contract, and return the exit code."""
    source, text = "standard input" if name == "-" else name, ""
    try:
        text = read(name)
        method, path, differences, unstated = nearest(openapi, read_pages(text))
    except UnreadableError as error:
        place = text.count("\n", 0, max(text.find(error.heading), 0)) + 1
        say(f"{source}:{place}: cannot be read: {error.reason}", sys.stderr)
        return 2
    for line in differences.values():
        say(f"{source}: DIFFERS: {line}")
    for what in unstated:
        say(f"{source}: not on the page: {what}")
    verdict = "differs from" if differences else "agrees with"
    say(f"{source}: {verdict} openapi.yaml ({method} {path})")
    return int(bool(differences))


def main(names: list[str], path: Path = OPENAPI_YAML) -> int:
    """Check each page, and return the highest exit code."""
    if not names:
        print(__doc__, file=sys.stderr)
    openapi = load(path)
    return max((check(openapi, name) for name in names), default=2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
