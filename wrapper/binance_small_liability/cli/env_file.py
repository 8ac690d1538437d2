"""Credentials from a file of NAME=value lines, as `--env-file` names it."""

import os
from pathlib import Path

from binance_small_liability._config import VARIABLES

from .errors import WrongUseError


def use_env_file(name: str) -> None:
    """Sets this package's environment variables from a file, and unsets those that it lacks.

    All or nothing, since the key of one account must not meet the secret of another. Other
    variables are ignored. No value is ever quoted in an error.
    """
    try:
        lines = Path(name).read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WrongUseError(f"--env-file {name} cannot be read: {reason}") from None
    found = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        variable, equals, value = line.removeprefix("export ").partition("=")
        if not equals or "\0" in line:
            raise WrongUseError(f"--env-file {name}: line {number} is not NAME=value")
        found[variable.strip()] = _unquoted(value.strip())
    for variable in VARIABLES.values():
        os.environ.pop(variable, None)
        if variable in found:
            os.environ[variable] = found[variable]


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
