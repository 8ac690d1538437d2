"""Messages and exit codes of failed commands."""

import argparse
import os
import sys
import traceback
from datetime import datetime, timedelta
from typing import Any, ClassVar

from binance_small_liability_api.operations import ALL
from httpx import URL, ConnectError

from binance_small_liability._config import VARIABLES, is_loopback, parsed_url
from binance_small_liability._errors import (
    ApiError,
    ConfigurationError,
    ContractError,
    NetworkError,
    RateLimitError,
    ServerError,
    SmallLiabilityError,
    sentence,
)

from .formats import printable

PROGRAM = "binance-small-liability"
_CODES = "https://developers.binance.com/docs/margin_trading/error-code"
_WEIGHTS = {each.weight_header for each in ALL.values() if each.weight_header}
_HEADERS = ("Date", "Content-Type", "Retry-After", *sorted(_WEIGHTS))
_PORTS = {"http": 80, "https": 443}  # a SOCKS proxy has 1080
# Variables that set the proxy of other programs, but not of this one.
_FOREIGN_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


class CommandError(Exception):
    """A command failed on this machine; the message is the reason."""

    exit_code: ClassVar[int] = 1


class WrongUseError(CommandError):
    """The command was used wrongly; the message says how to use it."""

    exit_code = 2


class UnsettledError(CommandError):
    """An exchange was sent, and its result is not known, or could not be printed."""

    exit_code = 3


class NotExchangedError(CommandError):
    """An exchange, or a part of it, did not take effect although it was sent."""

    exit_code = 4


def exit_code(error: Exception) -> int:
    """The exit code of a failed command."""
    match error:
        case CommandError():
            return error.exit_code
        case ConfigurationError():
            return 2
        case _:
            return 1


def report(error: Exception, options: argparse.Namespace) -> None:
    """Writes the error to stderr: one line, more with `-v`, and its traceback with `-vv`."""
    message = _message(error, options)
    if notes := getattr(error, "__notes__", []):
        message = " ".join([sentence(message), *notes])
    lines = [message]
    if options.verbose:
        lines += _details(error)
    is_expected = isinstance(error, SmallLiabilityError | CommandError)
    if options.verbose >= (2 if is_expected else 1):
        lines += "".join(traceback.format_exception(error)).splitlines()
    say(*lines)


def say(*lines: str) -> None:
    """Writes lines to stderr, if it is open."""
    if sys.stderr is None:
        return
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Parts of the text may come from a server.
    text = "".join(f"{printable(line)}\n" for line in lines)
    try:
        sys.stderr.write(f"{PROGRAM}: {text}")
        sys.stderr.flush()
    except OSError:  # the terminal was closed
        discard(sys.stderr)


def discard(stream: Any) -> None:
    """Forgets what could not be written: Python would fail again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _message(error: Exception, options: argparse.Namespace) -> str:
    match error:
        case ConfigurationError():
            return _of_configuration(error, options)
        case RateLimitError():
            return f"{error}{_until(error)}"
        case ServerError():
            return f"{error} Try again later."
        case NetworkError():
            return f"{error} {_network_advice(error, options)}"
        case ContractError():
            return f"{error} Check the base URL; if it is right, the API has changed: update."
        case ApiError(code=None, advice=""):
            return f"{error} Check the base URL."
        case ApiError(code=-3003):
            return f"{error} Open a cross-margin account first."
        case ApiError(code=-3007):
            return (
                f"{error} Binance allows one exchange every 6 hours; `history` shows the last one."
            )
        case ApiError(advice=""):
            return f"{error} Look the code up: {_CODES}"
        case SmallLiabilityError() | CommandError():
            return str(error)
        case _:
            return f"unexpected {type(error).__name__}; run it again with -v and report the output"


def _of_configuration(error: ConfigurationError, options: argparse.Namespace) -> str:
    names = {variable: option for option, variable in VARIABLES.items()}
    names |= {"start": "since", "end": "until", "max_retry_wait": "max_wait"}
    option = names.get(error.option, error.option)
    problem = error.problem.replace("the option insecure_http", "--insecure-http")
    if getattr(options, option, None) is not None:
        return f"--{option.replace('_', '-')} {problem}"
    is_variable = error.option in VARIABLES.values()
    kinds, is_missing, _ = problem.partition("is missing")
    if is_variable and is_missing:
        if options.env_file is not None:
            return f"{error.option} {kinds}is missing in {options.env_file}{_unknown(options)}"
        problem = problem.replace(is_missing, f"{is_missing} (is it exported?)")
    where = "; variables are read from the environment, or from --env-file" if is_variable else ""
    return f"{error.option} {problem}{where}"


def _unknown(options: argparse.Namespace) -> str:
    names = options.unknown_names
    return f", which has the unknown name{'s' * (len(names) > 1)} {', '.join(names)}" * bool(names)


def _until(error: RateLimitError) -> str:
    if error.retry_after is None:
        return ""
    try:
        moment = datetime.now().astimezone() + timedelta(seconds=error.retry_after)
    except OverflowError:
        return ""
    return f" Try again at {moment:%Y-%m-%d %H:%M:%S %Z}."


def _network_advice(error: NetworkError, options: argparse.Namespace) -> str:
    base, proxy = (_url(options, name) for name in ("base_url", "proxy"))
    if proxy is not None:
        address = f"{proxy.host}:{proxy.port or _PORTS.get(proxy.scheme, 1080)}"
        return f"The request goes through the proxy {address}: check the proxy and the base URL."
    if base is not None and is_loopback(base.host) and isinstance(error.__cause__, ConnectError):
        port = base.port or _PORTS[base.scheme]
        return f"Nothing answers at port {port} of this machine: is `mock` running?"
    advice = "Check the network and the base URL."
    for name in _FOREIGN_PROXIES:
        if os.environ.get(name):
            return f"{advice} {name} is not used: set {VARIABLES['proxy']} or give --proxy."
    return advice


def _url(options: argparse.Namespace, option: str) -> URL | None:
    """An option of the connection, which the client has accepted."""
    given = getattr(options, option) or os.environ.get(VARIABLES[option])
    return parsed_url(given) if given else None


def _details(error: Exception) -> list[str]:
    if not isinstance(error, ApiError):
        return []
    known = [f"status: {error.status_code}", f"code: {error.code}", f"attempts: {error.attempts}"]
    return known + [f"{name}: {error.headers[name]}" for name in _HEADERS if name in error.headers]
