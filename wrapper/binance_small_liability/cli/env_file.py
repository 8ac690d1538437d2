"""Credentials from the file of NAME=value lines that `--env-file` names."""

import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from contextlib import suppress
from pathlib import Path

from binance_small_liability._config import VARIABLES
from binance_small_liability._secrets import without_frames

from .errors import WrongUseError

_LINE = re.compile(r"(?:export\s+)?([^\s=]+)\s*=(.*)")
_QUOTED = re.compile(r"""(["'])(.*?)\1(?:\s+#.*)?""")


def use_env_file(name: str) -> None:
    """Sets this package's environment variables from a file, and unsets those it does not contain.

    They are unset so that the key of one account is never combined with the secret of another.
    Other variables in the file are ignored. No error quotes a value.
    """
    without_frames(lambda: _use(name))


def _use(name: str) -> None:
    found = {}
    for number, line in enumerate(map(str.strip, _lines(name)), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\0" in line:
            raise WrongUseError(f"--env-file {name}: line {number} is not NAME=value")
        found[match[1]] = _value(match[2])
    for variable in VARIABLES.values():
        os.environ.pop(variable, None)
        if variable in found:
            os.environ[variable] = found[variable]


def _lines(name: str) -> list[str]:
    path = Path(name)
    with suppress(RuntimeError):  # a user without a home
        path = path.expanduser()
    try:
        content = path.read_bytes()
        # PowerShell's `>` writes UTF-16.
        is_utf16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        return content.decode("utf-16" if is_utf16 else "utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise WrongUseError(f"--env-file {name} cannot be read: {reason}") from None


def _value(text: str) -> str:
    """A value without its quotes, and without a comment after it."""
    quoted = _QUOTED.fullmatch(text.strip())
    return quoted[2] if quoted else re.split(r"\s#", text)[0].strip()
