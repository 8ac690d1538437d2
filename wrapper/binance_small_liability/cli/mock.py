"""The command `mock`."""

import threading
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack, suppress

from .errors import CommandError, WrongUseError
from .output import write


def add_mock(parser: ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "--port", type=int, default=4010, help="where to listen (default %(default)s; 0: any)"
    )


def mock(options: Namespace) -> None:
    """Serve a fake Binance, with test credentials, until Ctrl-C or SIGTERM."""
    with suppress(KeyboardInterrupt):
        _serve(options.port)


def _serve(port: int) -> None:
    from binance_small_liability.testing import FakeBinance

    try:
        fake = FakeBinance()
    except FileNotFoundError:
        raise CommandError("the packaged contract, openapi.json, is missing") from None
    with ExitStack() as stack:
        try:
            url = stack.enter_context(fake.serve(port=port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise WrongUseError(f"--port {port} cannot be used: {reason}") from None
        write(
            "# A fake Binance, until Ctrl-C. These lines can be used as an --env-file.\n"
            f"BINANCE_BASE_URL={url}\n"
            f"BINANCE_API_KEY={fake.api_key}\n"
            f"BINANCE_API_SECRET={fake.api_secret}\n"
        )
        threading.Event().wait()
