"""The parser: built from the commands."""

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from binance_small_liability._io.version import __version__

from .commands import COMMANDS
from .errors import PROGRAM, WrongUseError
from .output import write
from .reads import reads

_DESCRIPTION = "Small debts at Binance: list them, exchange them, and list past exchanges."
_CREDENTIALS = "credentials come only from the environment or --env-file"
_CREDENTIAL = re.compile("key|secret|password|token")
_LONGEST_COIN = 20  # a longer word may be a secret, which is not repeated


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if message.endswith("required: OPERATION"):
            message += f", one of {', '.join(reads())}"
        raise WrongUseError(f"{message}; see {self.prog} --help")


def parse(arguments: Sequence[str], options: argparse.Namespace) -> None:
    """Sets `options`. Without arguments it shows the help. Raises WrongUseError."""
    first = arguments[0] if arguments else "--help"
    if first.startswith("-") and first not in ("-h", "--help", "--version"):
        name = first.partition("=")[0]  # without its value, which may be a secret
        advice = f"options follow the command: {PROGRAM} COMMAND {name}"
        if _CREDENTIAL.search(name):
            advice = _CREDENTIALS
        raise WrongUseError(f"{name} is not known here; {advice}; see {PROGRAM} --help")
    _, unknown = parser().parse_known_args(arguments or [first], options)
    # argparse ends a list of words at the first option; words after it belong to the list, too.
    for name in ("parameters", "coins"):
        if hasattr(options, name) and not any(word.startswith("-") for word in unknown):
            getattr(options, name).extend(unknown)
            unknown = []
    if unknown:
        problem = _problem(unknown, options)
        raise WrongUseError(f"{problem}; see {PROGRAM} {options.command} --help")


def _problem(unknown: Sequence[str], options: argparse.Namespace) -> str:
    """What is wrong with the arguments that the command does not know."""
    for word in unknown:
        if word.startswith("-"):
            name = word.partition("=")[0]  # without its value, which may be a secret
            if _CREDENTIAL.search(name):
                advice = f"; {_CREDENTIALS}"
            else:
                known = re.findall(r"--[a-z-]+", options.child.format_help())
                advice = "".join(f"; did you mean {o}?" for o in get_close_matches(name, known, 1))
            return f"unknown option {name}{advice}"
    if options.command == "list":
        coin = unknown[0] if len(unknown[0]) <= _LONGEST_COIN else "NAME"
        return f"list takes no coin: use --asset {coin}"
    return "there are too many arguments; if a value has spaces, put it in quotes"


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    root = _Parser(PROGRAM, description=_DESCRIPTION, allow_abbrev=False)
    root.add_argument("--version", action=_Version, nargs=0, help="show the version")
    children = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        text = command.run.__doc__
        child = children.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.add_arguments(child)
        child.set_defaults(run=command.run, parser=root, child=child)
    return root


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        write(f"{PROGRAM} {__version__}\n")
        parser.exit()
