"""The command `mock`."""

import threading
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack, suppress
from errno import EADDRINUSE
from typing import TYPE_CHECKING

from binance_small_liability._config import is_loopback

from .errors import CommandError, WrongUseError, say
from .output import write

if TYPE_CHECKING:
    from binance_small_liability.testing import FakeBinance

_HOST = "127.0.0.1"


def add_mock(parser: ArgumentParser) -> None:
    """Adds the arguments."""
    add = parser.add_argument
    add("--port", type=int, default=4010, help="where to listen; default: %(default)s; 0: any")
    add("--host", default=_HOST, help="the address to listen at; default: %(default)s")
    insecure = "allow a --host that other machines reach: they send API keys in clear text"
    add("--insecure-http", action="store_true", help=insecure)


def mock(options: Namespace) -> None:
    """Serve a fake Binance, with test credentials, until Ctrl-C or SIGTERM."""
    if not options.insecure_http and not is_loopback(options.host):
        raise WrongUseError(
            f"--host {options.host} needs --insecure-http, because other machines can reach it, and"
            " send API keys in clear text: never use real ones"
        )
    with suppress(KeyboardInterrupt):
        _serve(options.host, options.port)


def announce(fake: "FakeBinance", url: str) -> None:
    """Writes the variables of a served fake to stdout, and a line for readers to stderr."""
    lines = [f"{name}={value}" for name, value in fake.environment(url).items()]
    write("\n".join(["# A fake Binance. These lines can be used as an --env-file.", *lines, ""]))
    say(f"serving on {url} until Ctrl-C")


def _serve(host: str, port: int) -> None:
    from binance_small_liability.testing import FakeBinance

    try:
        fake = FakeBinance()
    except FileNotFoundError:
        raise CommandError("the packaged contract, openapi.json, is missing") from None
    with ExitStack() as stack:
        try:
            url = stack.enter_context(fake.serve(port, host))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such port"
            where = f"--port {port}" if host == _HOST else f"--host {host} --port {port}"
            is_taken = isinstance(error, OSError) and error.errno == EADDRINUSE
            advice = "; stop the other `mock`, or choose a free port: `mock --port 0`" * is_taken
            raise WrongUseError(f"{where} cannot be used: {reason}{advice}") from None
        announce(fake, url)
        threading.Event().wait()
