"""Writing to stdout."""

import os
import sys

from .errors import CommandError


def check_stdout() -> None:
    """Raises CommandError if there is no stdout."""
    if sys.stdout is None:
        raise CommandError("cannot write: standard output is closed")


def write(text: str) -> None:
    """Writes to stdout. Raises CommandError if that fails, unless the reader has left."""
    # What the terminal's character set lacks is escaped.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Python would flush what is left once more at its end, and complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that has left, say `head`, has what it wants.
        if not isinstance(error, BrokenPipeError):
            raise CommandError(f"cannot write: {error.strerror}") from error
