"""The commands. A new one is a function, its arguments, and a line of `COMMANDS`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import NamedTuple

from .connection import FILE
from .exchange import add_exchange, exchange
from .mock import add_mock, mock
from .output import write
from .reads import add_call, add_history, add_list, call, history, list_coins


def _completion(options: Namespace) -> None:
    """Print a script that completes this command in bash, zsh or fish."""
    import shtab

    FILE.update(shtab.FILE)
    write(shtab.complete(options.parser, options.shell) + "\n")


def _add_completion(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


class Command(NamedTuple):
    """A command: its function, whose docstring is the help, and what adds its arguments."""

    run: Callable[[Namespace], None]
    add_arguments: Callable[[ArgumentParser], None]


COMMANDS = {
    "list": Command(list_coins, add_list),
    "exchange": Command(exchange, add_exchange),
    "history": Command(history, add_history),
    "call": Command(call, add_call),
    "mock": Command(mock, add_mock),
    "completion": Command(_completion, _add_completion),
}
