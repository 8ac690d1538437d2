"""Credentials from the file of NAME=value lines that `--env-file` names."""

import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from binance_small_liability._config import VARIABLES
from binance_small_liability._secrets import without_frames

from .errors import WrongUseError

_EXAMPLE = "BINANCE_API_KEY"
_LINE = re.compile(r"(?:export\s+)?([^\s=]+)\s*=(.*)")
_QUOTED = re.compile(r"""(["'])(.*?)\1(?:\s+#.*)?""")


def use_env_file(name: str) -> list[str]:
    """Sets this package's environment variables from a file, and unsets those it does not contain.

    They are unset so that the key of one account is never combined with the secret of another.
    Other variables in the file are ignored; those whose names look like this package's are
    returned. No error quotes a value.
    """
    return without_frames(lambda: _use(name))


def _use(name: str) -> list[str]:
    found = {}
    known = VARIABLES.values()
    for number, line in enumerate(map(str.strip, _lines(name)), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\0" in line:
            raise WrongUseError(f"--env-file {name}: line {number} is not NAME=value")
        found[match[1]] = _value(match[2])
        if match[1] in known and _is_open(match[2].strip()):
            raise WrongUseError(f"--env-file {name}: the quote in line {number} is not closed")
    alike = [each for each in found if each not in known and _is_alike(each)]
    if not alike and found.keys().isdisjoint(known):
        raise WrongUseError(f"--env-file {name} sets no BINANCE_ variable, such as {_EXAMPLE}")
    for variable in known:
        os.environ.pop(variable, None)
        if variable in found:
            os.environ[variable] = found[variable]
    return alike


def _is_alike(name: str) -> bool:
    # OPENAI_API_KEY is alike by 0.69, a name with one wrong letter by more than 0.9.
    close = get_close_matches(name, VARIABLES.values(), cutoff=0.8)
    return name.upper().startswith("BINANCE") or bool(close)


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


def _is_open(text: str) -> bool:
    return text[:1] in ("'", '"') and text.count(text[0]) == 1


def _value(text: str) -> str:
    """A value without its quotes, and without a comment after it."""
    quoted = _QUOTED.fullmatch(text.strip())
    return quoted[2] if quoted else re.split(r"\s#", text)[0].strip()
