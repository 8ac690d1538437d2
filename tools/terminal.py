"""Printing texts of others."""

import sys
from typing import TextIO

from binance_small_liability.cli.formats import printable

MOST_LETTERS = 400


def say(text: str, to: TextIO | None = None) -> None:
    """Print each line of `text` so that it can neither control the terminal nor flood it."""
    encoding = getattr(to or sys.stdout, "encoding", None) or "utf-8"
    for line in text.split("\n"):
        shown = printable(line[:MOST_LETTERS])[:MOST_LETTERS]
        print(shown.encode(encoding, "backslashreplace").decode(encoding), file=to)
