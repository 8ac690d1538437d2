"""Writing to stdout."""

import sys

from .errors import CommandError, discard


def check_stdout() -> None:
    """Raises CommandError if there is no stdout."""
    if sys.stdout is None:
        raise CommandError("cannot write: standard output is closed")


def write(text: str) -> None:
    """Writes to stdout. Raises CommandError if that fails, unless the reader closed the pipe."""
    # Characters that are not in the terminal's character set are escaped.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        # A reader such as `head` closes the pipe when it has read enough.
        if not isinstance(error, BrokenPipeError):
            raise CommandError(f"cannot write: {error.strerror}") from error
