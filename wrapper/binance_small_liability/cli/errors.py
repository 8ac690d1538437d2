"""What the command line says when a command fails: one line that says what to do."""

import argparse
import sys
import traceback
from datetime import datetime, timedelta

from binance_small_liability._call.operation import Limiter
from binance_small_liability._config import VARIABLES
from binance_small_liability._errors import (
    ApiError,
    ConfigurationError,
    ContractError,
    NetworkError,
    RateLimitError,
    SmallLiabilityError,
)

from .formats import printable

PROGRAM = "binance-small-liability"
_CODES = "https://developers.binance.com/docs/margin_trading/error-code"
_HEADERS = ("Date", "Content-Type", "Retry-After", *(limiter.header for limiter in Limiter))


class WrongUseError(Exception):
    """The command was not used as it can be; the message says how."""


def exit_code(error: Exception) -> int:
    """2 for wrong use, else 1."""
    return 2 if isinstance(error, WrongUseError | ConfigurationError) else 1


def tell(error: Exception, options: argparse.Namespace) -> None:
    """Says on stderr what went wrong: one line, or all that is known with `--verbose`."""
    lines = [f"{PROGRAM}: {_message(error, options)}"]
    if options.verbose:
        lines += _details(error)
        lines += "".join(traceback.format_exception(error)).splitlines()
    if sys.stderr is None:
        return
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Parts of it were written by a server.
    sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))


def _message(error: Exception, options: argparse.Namespace) -> str:
    match error:
        case ConfigurationError():
            return _of_configuration(error, options)
        case RateLimitError():
            return f"{error}{_until(error)}"
        case NetworkError():
            return f"{error} Check the network and the base URL."
        case ContractError():
            return f"{error} Check the base URL; if it is right, the API has changed: update."
        case ApiError(code=None, advice=""):
            return f"{error} Check the base URL."
        case ApiError(code=-3003):
            return f"{error} Open a cross-margin account first."
        case ApiError(advice=""):
            return f"{error} Look the code up: {_CODES}"
        case SmallLiabilityError() | WrongUseError():
            return str(error)
        case OSError():
            return f"cannot write: {error.strerror}"
        case _:
            return f"unexpected {type(error).__name__}; run with -v and report what it says"


def _until(error: RateLimitError) -> str:
    if error.retry_after is None:
        return ""
    try:
        moment = datetime.now().astimezone() + timedelta(seconds=error.retry_after)
    except OverflowError:
        return ""
    return f" Try again at {moment:%Y-%m-%d %H:%M:%S %Z}."


def _of_configuration(error: ConfigurationError, options: argparse.Namespace) -> str:
    option = "base_url" if error.option == VARIABLES["base_url"] else error.option
    if getattr(options, option, None) is not None:
        return f"--{option.replace('_', '-')} {error.problem}"
    return f"{error}; variables are read from the environment, or from --env-file"


def _details(error: Exception) -> list[str]:
    if not isinstance(error, ApiError):
        return []
    told = [f"status: {error.status_code}", f"code: {error.code}", f"attempts: {error.attempts}"]
    return told + [f"{name}: {error.headers[name]}" for name in _HEADERS if name in error.headers]
