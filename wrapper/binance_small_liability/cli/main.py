"""The command line: its arguments, its commands, and what it says when one fails."""

import argparse
import errno
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NoReturn

from binance_small_liability._client import SmallLiabilityClient

from .env_file import use_env_file
from .errors import PROGRAM, WrongUseError, exit_code, tell
from .formats import FORMATS, render

_DESCRIPTION = "The coins whose small debts can be exchanged at Binance, or at a fake exchange."
_CREDENTIALS = """Credentials come from the environment or --env-file: BINANCE_API_KEY, and
BINANCE_API_SECRET or BINANCE_PRIVATE_KEY_FILE (with BINANCE_PRIVATE_KEY_PASSWORD)."""
# The options of `list` that are the client's own.
_OPTIONS = ("base_url", "recv_window", "timeout")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongUseError(f"{message}; see {self.prog} --help")


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns 0; 1 if Binance refused or the network failed; 2 for wrong use; 130 after Ctrl-C.
    """
    options = argparse.Namespace(verbose=False)
    try:
        _check_output()
        _parse(sys.argv[1:] if arguments is None else arguments, options)
        _set_up_log(options.verbose)
        options.run(options)
    except KeyboardInterrupt:
        return 130  # as shells count an end by Ctrl-C
    except Exception as error:  # nobody wants a traceback instead of a sentence
        tell(error, options)
        return exit_code(error)
    return 0


def _check_output() -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")


def _parse(arguments: Sequence[str], options: argparse.Namespace) -> None:
    _, unknown = _parser().parse_known_args(arguments, options)
    if unknown:
        # Without its value, which may be a secret.
        name = unknown[0].partition("=")[0] if unknown[0].startswith("-") else "an argument"
        raise WrongUseError(
            f"{name} is not known here; options stand after the command, and credentials come from"
            f" the environment or --env-file alone; see {PROGRAM} {options.command} --help"
        )


def _parser(files: Any = None) -> _Parser:
    """The parser; `files` is how file names are completed."""
    parser = _Parser(PROGRAM, description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        text = run.__doc__
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    listing = command("list", _list)
    listing.epilog = _CREDENTIALS
    add = listing.add_argument
    add("--format", choices=FORMATS, help="default: table in a terminal, else tsv")
    add("--asset", action="append", metavar="NAME", help="only this coin; may be repeated")
    file = add("--env-file", metavar="FILE", help="read the BINANCE_ variables from FILE instead")
    file.complete = files  # type: ignore[attr-defined]  # as shtab wants to be told
    add("--base-url", metavar="URL", help="default: BINANCE_BASE_URL, else Binance itself")
    add("--recv-window", type=int, metavar="MS", help="how long the request stays valid")
    add("--timeout", type=float, metavar="SECONDS", help="how long to wait for the network")
    add("-v", "--verbose", action="store_true", help="log to stderr; tell all about an error")
    command("mock", _mock).add_argument(
        "--port", type=int, default=4010, help="where to listen (default %(default)s; 0: any)"
    )
    command("completion", _completion).add_argument("shell", choices=("bash", "zsh"))
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        _write(f"{PROGRAM} {version(PROGRAM)}\n")
        parser.exit()


def _list(options: argparse.Namespace) -> None:
    """List the coins whose small debts can be exchanged."""
    if options.env_file is not None:
        use_env_file(options.env_file)
    given = {name: getattr(options, name) for name in _OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    with SmallLiabilityClient.from_env(**given) as client:
        coins = client.list_coins()
    if options.asset:
        wanted = {name.casefold() for name in options.asset}
        coins = [coin for coin in coins if coin.asset.casefold() in wanted]
    _write(render(coins, options.format or ("table" if sys.stdout.isatty() else "tsv")))


def _mock(options: argparse.Namespace) -> None:
    """Serve a fake Binance, with test credentials, until Ctrl-C."""
    import threading

    from binance_small_liability.testing import FakeBinance

    fake = FakeBinance()
    with ExitStack() as stack:
        try:
            url = stack.enter_context(fake.serve(port=options.port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise WrongUseError(f"--port {options.port} cannot be used: {reason}") from None
        _write(
            "# A fake Binance until Ctrl-C. These lines can be used as an --env-file.\n"
            f"BINANCE_BASE_URL={url}\n"
            f"BINANCE_API_KEY={fake.api_key}\n"
            f"BINANCE_API_SECRET={fake.api_secret}\n"
        )
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


def _completion(options: argparse.Namespace) -> None:
    """Print a script that completes this command in bash or zsh."""
    import shtab

    _write(shtab.complete(_parser(files=shtab.FILE), options.shell) + "\n")


def _set_up_log(verbose: bool) -> None:
    if verbose:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s: %(message)s")
    else:
        # Or Python would write warnings to stderr.
        logging.getLogger("binance_small_liability").addHandler(logging.NullHandler())


def _write(text: str) -> None:
    # What the terminal's character set lacks is escaped.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Python would flush what is left once more at its end, and complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # Otherwise the reader, say `head`, has what it wants.
        if not isinstance(error, BrokenPipeError):
            raise
