"""The commands. A new one is a function, its arguments, and a line of `COMMANDS`."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import attrs

from binance_small_liability._records import Coin, Exchange

from .connection import FILE, add_connection, client
from .exchange import add_exchange, exchange
from .formats import FORMATS, render
from .mock import add_mock, mock
from .output import write


def _list(options: Namespace) -> None:
    """List the coins whose small debts can be exchanged."""
    with client(options) as binance:
        coins = binance.list_coins()
    if options.asset:
        wanted = {name.casefold() for name in options.asset}
        coins = [coin for coin in coins if coin.asset.casefold() in wanted]
    _show(Coin, coins, options, none="There are no small debts to exchange.")


def _add_list(parser: ArgumentParser) -> None:
    _add_format(parser)
    parser.add_argument(
        "--asset", action="append", metavar="NAME", help="only this coin; may be repeated"
    )
    add_connection(parser)


def _history(options: Namespace) -> None:
    """List past exchanges, oldest first; the last 30 days unless --since is given."""
    with client(options) as binance:
        exchanges = binance.list_exchanges(options.since, options.until)
    _show(Exchange, exchanges, options, none="There were no exchanges.")


def _add_history(parser: ArgumentParser) -> None:
    _add_format(parser)
    note = "a date (its midnight in UTC) or an ISO 8601 time (in UTC unless it has an offset)"
    parser.add_argument("--since", type=_moment, metavar="TIME", help=note)
    parser.add_argument("--until", type=_moment, metavar="TIME", help="the same; default: now")
    add_connection(parser)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("must be like 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _add_format(parser: ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, help="default: table in a terminal, else tsv")


def _show(
    kind: type[attrs.AttrsInstance], records: Iterable[Any], options: Namespace, none: str
) -> None:
    """Prints records, or the sentence `none` instead of an empty table."""
    form = options.format or ("table" if sys.stdout.isatty() else "tsv")
    records = list(records)
    write(render(kind, records, form) if records or form != "table" else f"{none}\n")


def _completion(options: Namespace) -> None:
    """Print a script that completes this command in bash or zsh."""
    import shtab

    FILE.update(shtab.FILE)
    write(shtab.complete(options.parser, options.shell) + "\n")


def _add_completion(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"))


class Command(NamedTuple):
    """A command: its function, whose docstring is the help, and what adds its arguments."""

    run: Callable[[Namespace], None]
    add_arguments: Callable[[ArgumentParser], None]


COMMANDS = {
    "list": Command(_list, _add_list),
    "exchange": Command(exchange, add_exchange),
    "history": Command(_history, _add_history),
    "mock": Command(mock, add_mock),
    "completion": Command(_completion, _add_completion),
}
