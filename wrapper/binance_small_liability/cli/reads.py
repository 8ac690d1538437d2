"""The commands that only read: `list`, `history` and `call`."""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

import attrs
from binance_small_liability_api.operation import Operation, Parameter
from binance_small_liability_api.operations import ALL
from binance_small_liability_api.records import Coin, Exchange

from .connection import add_connection, client
from .errors import WrongUseError, say
from .formats import FORMATS, no_debt, render, render_json
from .output import write

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def list_coins(options: Namespace) -> None:
    """List the coins whose small debts can be exchanged."""
    for name in options.asset or ():
        if re.search(r"[\s,]", name):
            again = " ".join(f"--asset {each}" for each in re.findall(r"[^\s,]+", name))
            raise WrongUseError(f"repeat --asset for each coin: {again}")
    with client(options) as binance:
        listed = binance.list_coins()
    none = "There are no small debts to exchange."
    wanted = {name.casefold(): name for name in options.asset or ()}
    coins = [coin for coin in listed if not wanted or coin.asset.casefold() in wanted]
    missing = wanted.keys() - {coin.asset.casefold() for coin in coins}
    if missing:
        none = no_debt([name for key, name in wanted.items() if key in missing], listed)
        if coins or _form(options) != "table":
            say(none)
    _show(Coin, coins, options, none)


def add_list(parser: ArgumentParser) -> None:
    """Adds the arguments."""
    _add_format(parser)
    parser.add_argument(
        "--asset",
        action="append",
        metavar="NAME",
        help="only this coin; may be repeated; default: all",
    )
    add_connection(parser)


def history(options: Namespace) -> None:
    """List past exchanges, oldest first; the last 30 days unless --since is given."""
    if options.since and options.until and options.since > options.until:
        raise WrongUseError("--since must not be later than --until")
    with client(options) as binance:
        exchanges = binance.list_exchanges(options.since, options.until)
    _show(Exchange, exchanges, options, none="There were no exchanges.")


def add_history(parser: ArgumentParser) -> None:
    """Adds the arguments."""
    _add_format(parser)
    note = "a date (its midnight in UTC) or an ISO 8601 time (in UTC unless it has an offset)"
    since = f"{note}; default: 30 days before --until"
    parser.add_argument("--since", type=_moment, metavar="TIME", help=since)
    parser.add_argument("--until", type=_moment, metavar="TIME", help="the same; default: now")
    add_connection(parser)


def call(options: Namespace) -> None:
    """Make any read of the API and print its response."""
    operation = ALL[options.operation]
    parameters = _parameters(operation, options.parameters)
    with client(options) as binance:
        result = binance.call(operation, **parameters)
    if _form(options) == "json":
        write(render_json(result))
    else:
        _show(*_rows(operation, result), options, none="The response has no rows.")


def reads() -> list[str]:
    """The names of the operations that only read."""
    return [name for name, operation in ALL.items() if operation.method == "GET"]


def add_call(parser: ArgumentParser) -> None:
    """Adds the arguments."""
    note = f"one of {', '.join(reads())}"
    parser.add_argument("operation", choices=reads(), metavar="OPERATION", help=note)
    parser.add_argument(
        "parameters",
        nargs="*",
        default=[],  # argparse would otherwise report it as missing
        metavar="NAME=VALUE",
        help="a parameter; a list is separated by commas, a time is written as for `history`",
    )
    _add_format(parser)
    add_connection(parser)


def _parameters(operation: Operation[..., Any], pairs: Sequence[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for pair in pairs:
        name, found, text = pair.partition("=")
        known = operation.parameters.get(name)
        if not found or known is None:
            names = " ".join(f"{each}=…" for each in operation.parameters) or "none"
            raise WrongUseError(
                f"{name} is not a parameter of {operation.name}, which has: {names}"
            )
        if name in parameters:
            raise WrongUseError(f"{name} is given twice")
        parameters[name] = _value(name, known, text)
    return parameters


def _value(name: str, parameter: Parameter, text: str) -> Any:
    try:
        return _READ[parameter.kind](text)
    except ArgumentTypeError as error:
        raise WrongUseError(f"{name}={text}: the value {error}") from None
    except (ValueError, LookupError, InvalidOperation):
        raise WrongUseError(
            f"{name}={text}: the value must be {_WRITTEN[parameter.kind]}"
        ) from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        if _DATE.match(text):
            kind = "date" if _DATE.fullmatch(text) else "time"
            raise ArgumentTypeError(f"{text} is not a {kind}") from None
        raise ArgumentTypeError(f"must be {_WRITTEN['time']}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_READ: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "time": _moment,
    "decimal": Decimal,
    "boolean": {"true": True, "false": False}.__getitem__,
    "string": str,
    "array": lambda text: text.split(","),
}
_WRITTEN = {
    "integer": "a whole number",
    "time": "like 2026-01-31 or 2026-01-31T12:00:00Z",
    "decimal": "a decimal number",
    "boolean": "true or false",
}


def _rows(operation: Operation[..., Any], result: Any) -> tuple[type[Any] | None, list[Any]]:
    """The record and the rows of a result. A page has its rows in its only list of records."""
    if isinstance(result, list):
        is_records = all(attrs.has(type(row)) for row in result)
        return operation.record if is_records else None, result
    if operation.record is not None:
        lists = {
            field.name: item
            for field in attrs.fields(operation.record)
            for each in (field.type, *get_args(field.type))
            for item in get_args(each)
            if getattr(each, "__origin__", None) is list and attrs.has(item)
        }
        if len(lists) == 1:
            [(name, record)] = lists.items()
            return record, getattr(result, name) or []
    return operation.record, [] if result is None else [result]


def _add_format(parser: ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, help="default: table in a terminal, else tsv")


def _form(options: Namespace) -> str:
    return options.format or ("table" if sys.stdout.isatty() else "tsv")


def _show(record: type[Any] | None, rows: list[Any], options: Namespace, none: str) -> None:
    """Prints records, or the sentence `none` instead of an empty table."""
    form = _form(options)
    write(render(record, rows, form) if rows or form != "table" else f"{none}\n")
