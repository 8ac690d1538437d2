"""What the commands that call Binance share: their options, and the client."""

import re
from argparse import ArgumentParser, Namespace
from typing import Any

from binance_small_liability._call.details import RetryDetails, WaitDetails
from binance_small_liability._client import SmallLiabilityClient
from binance_small_liability._config import BASE_URL, MAX_RETRY_WAIT, RECV_WINDOW, TIMEOUT

from .env_file import use_env_file
from .errors import say

_CREDENTIALS = """Credentials come from the environment or --env-file: BINANCE_API_KEY, and
BINANCE_API_SECRET or BINANCE_PRIVATE_KEY_FILE (with BINANCE_PRIVATE_KEY_PASSWORD)."""
# The client's names of the options.
_OPTIONS = {
    **{name: name for name in ("base_url", "insecure_http", "proxy", "recv_window", "timeout")},
    "max_wait": "max_retry_wait",
}
_LONG = 2  # seconds; longer waits are announced
_USER = re.compile("//[^/]*@")  # name and password in the URL of a proxy
# How each shell completes a file name. Filled by `completion` from shtab, which takes 0.1 s to
# import.
FILE: dict[str, Any] = {}


def add_connection(parser: ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = _CREDENTIALS
    add = parser.add_argument
    from_file = "read the BINANCE_ variables from FILE instead of the environment"
    file = add("--env-file", metavar="FILE", help=from_file)
    file.complete = FILE  # type: ignore[attr-defined]  # where shtab looks for it
    add("--base-url", metavar="URL", help=f"default: BINANCE_BASE_URL, else {BASE_URL}")
    insecure = "allow an unencrypted http:// --base-url: for mocks only"
    add("--insecure-http", action="store_const", const=True, help=insecure)
    add("--proxy", metavar="URL", help="default: BINANCE_PROXY, else none")
    window = f"milliseconds for which a request stays valid; default: {RECV_WINDOW.default}"
    add("--recv-window", type=int, metavar="MS", help=window)
    attempt = f"the longest duration of one attempt; default: {TIMEOUT:g}"
    add("--timeout", type=float, metavar="SECONDS", help=attempt)
    wait = f"the longest wait for a retry or limit; default: {MAX_RETRY_WAIT:g}"
    add("--max-wait", type=float, metavar="SECONDS", help=wait)
    verbose = "log to stderr, and show details of an error; -vv: also its traceback"
    add("-v", "--verbose", action="count", default=0, help=verbose)


def given(options: Namespace) -> list[str]:
    """The options that were given, as words of a command, without the password of a proxy."""
    words = []
    for name in ("env_file", *_OPTIONS):
        value = getattr(options, name)
        if value is not None:
            text = _USER.sub("//***@", value) if name == "proxy" else str(value)
            option = f"--{name.replace('_', '-')}"
            words += [option] if value is True else [option, text]
    return words


def client(options: Namespace) -> SmallLiabilityClient:
    """The client with these options."""
    if options.env_file is not None:
        options.unknown_names = use_env_file(options.env_file)
    given = {theirs: getattr(options, ours) for ours, theirs in _OPTIONS.items()}
    return SmallLiabilityClient.from_env(
        on_retry=_say_retry,
        on_wait=_say_wait,
        **{name: value for name, value in given.items() if value is not None},
    )


def _say_retry(retry: RetryDetails) -> None:
    if retry.wait > _LONG:
        say(f"{retry.error_class.__name__}; trying again in {retry.wait:.0f} s")


def _say_wait(wait: WaitDetails) -> None:
    if wait.wait > _LONG:
        say(f"waiting {wait.wait:.0f} s: {wait.reason}")
