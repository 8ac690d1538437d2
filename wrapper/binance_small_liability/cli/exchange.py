"""The command `exchange`: it shows the debts, asks, exchanges them, and finds out the result."""

import os
import re
import shlex
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from select import select
from typing import Any, NamedTuple

from binance_small_liability_api.operations import exchange as operation
from binance_small_liability_api.records import Coin, Exchange

from binance_small_liability._call.call import Call
from binance_small_liability._client import SmallLiabilityClient
from binance_small_liability._errors import OutcomeUnknownError, Receipt, SmallLiabilityError
from binance_small_liability._history import confirm

from .connection import add_connection, client, given
from .errors import PROGRAM, CommandError, NotExchangedError, UnsettledError, WrongUseError, say
from .formats import no_debt, printable, render
from .output import write

_NOTHING = "Nothing was exchanged."
_MOST = operation.parameters["asset_names"].maximum or sys.maxsize


def add_exchange(parser: ArgumentParser) -> None:
    """Adds the arguments."""
    add = parser.add_argument
    add("coins", nargs="*", metavar="COIN", help="exchange the debt in COIN; case is ignored")
    add("--all", action="store_true", help="exchange all coins that `list` shows")
    first = f"with --all: only the first N, at most {_MOST}; default: all"
    add("--first", type=_first, metavar="N", help=first)
    add("--yes", action="store_true", help="do not ask")
    add("--no-wait", action="store_true", help="do not wait for the result in the history")
    add_connection(parser)
    parser.set_defaults(accepted=False)  # whether Binance has accepted the exchange


def exchange(options: Namespace) -> None:
    """Exchange small debts for a debt in a coin that Binance chooses."""
    _check(options)
    with client(options) as binance:
        try:
            coins = _chosen(binance.list_coins(), options)
            if not coins:
                write("There are no small debts to exchange.\n")
                return
            _show(coins)
            if not options.yes and not _agreed():
                raise CommandError(_NOTHING)
            _carry_out(binance, [coin.asset for coin in coins], options)
        except SmallLiabilityError as error:
            # All others have become an UnsettledError or NotExchangedError.
            error.add_note(_NOTHING)
            raise


def _first(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise ArgumentTypeError(f"must be a whole number from 1 to {_MOST}")
    return int(text)


def _check(options: Namespace) -> None:
    if options.coins and options.all:
        raise WrongUseError("name the coins to exchange or give --all, not both")
    if not (options.coins or options.all):
        raise WrongUseError("name the coins to exchange, or give --all")
    if options.first is not None and not options.all:
        raise WrongUseError("--first needs --all")
    for name in options.coins:
        if re.search(r"[\s,]", name):
            apart = " ".join(re.findall(r"[^\s,]+", name))
            raise WrongUseError(f"separate coins with spaces, without commas or quotes: {apart}")
    if len(options.coins) > _MOST:
        raise _too_many(options.coins, f"name at most {_MOST} of: {' '.join(options.coins)}")
    if not options.yes and not _has_terminal():
        raise WrongUseError("without a terminal to ask in, exchange needs --yes")


def _too_many(names: list[str], advice: str) -> WrongUseError:
    return WrongUseError(
        f"Binance exchanges at most {_MOST} coins at a time, not {len(names)}; {advice}"
    )


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _chosen(coins: list[Coin], options: Namespace) -> list[Coin]:
    names = [coin.asset for coin in coins]
    if options.all:
        if options.first is None and len(names) > _MOST:
            raise _too_many(names, f"add --first {_MOST} to exchange the first {_MOST} of them")
        return coins[: options.first]
    found = {coin.asset.casefold(): coin for coin in coins}
    unknown = [name for name in options.coins if name.casefold() not in found]
    if unknown:
        meant = "; did you mean --all?" if [name.casefold() for name in unknown] == ["all"] else ""
        raise WrongUseError(f"{no_debt(unknown, coins)}{meant}")
    # A coin that was named twice is exchanged once.
    return [found[name] for name in dict.fromkeys(map(str.casefold, options.coins))]


def _show(coins: Iterable[Coin]) -> None:
    units = printable(", ".join(dict.fromkeys(coin.liability_asset for coin in coins)))
    write(render(Coin, coins, "table"))
    write("Your new debt will be in a coin that Binance chooses.")
    write(f" The values above are in {units}.\n")


def _agreed() -> bool:
    answer = ""
    try:
        write("Exchange these debts? [y/N] ")
        # Python would notice a signal that arrives just before a read only when that read ends.
        while os.name == "posix" and not select([sys.stdin], [], [], 0.1)[0]:
            pass
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        with suppress(CommandError):  # the terminal may be closed
            write("\n")
        say(_NOTHING)
        raise
    if not answer:  # Ctrl-D
        write("\n")
    return answer.strip().casefold() in ("y", "yes")


class _Result(NamedTuple):
    """What became of an exchange: the text to print, and the error to raise afterwards."""

    text: str = ""
    error: Exception | None = None


def _carry_out(binance: SmallLiabilityClient, names: list[str], options: Namespace) -> None:
    call = binance._exchange(names)
    try:
        result = _result(binance, call, options)
        options.end()
    except BaseException as error:  # a signal, or a bug
        options.end()
        if not call.in_doubt:
            raise
        result = _Result(error=_unsettled(call, error, options))
    try:
        write(result.text)
    except CommandError as failure:
        if result.error is None:
            accepted = f"Binance accepted the exchange of {', '.join(names)}"
            raise UnsettledError(f"{accepted}, but {failure}") from failure
    if result.error is not None:
        raise result.error


def _result(binance: SmallLiabilityClient, call: Call[Any], options: Namespace) -> _Result:
    """Sends the exchange and finds out what became of it."""
    names = ", ".join(call.subject)
    cause: BaseException | None = None
    try:
        binance._run(call.run())
    except OutcomeUnknownError as error:
        cause = error.__cause__
        if options.no_wait:
            return _Result(error=_unsettled(call, cause, options))
        say(f"The exchange of {names} may have taken effect: {cause} Reading the history.")
    except SmallLiabilityError as error:
        return _Result(error=error)
    else:
        options.accepted = True
    receipt = call.receipt
    if options.no_wait:
        command = _history_command(receipt, options)
        accepted = f"Binance accepted the exchange of {names}"
        return _Result(f"{accepted}. The result is listed by: {command}\n")
    try:
        rows = binance._run(confirm(binance._caller, receipt, call.recv_window, _say_pause))
    except SmallLiabilityError as error:
        return _Result(error=_unsettled(call, error, options))
    text = render(Exchange, rows, "table") if rows else ""
    listed = {row.asset for row in rows}
    missing = ", ".join(name for name in call.subject if name not in listed)
    if not missing:
        return _Result(text)
    if cause is None:
        why = CommandError(f"the history does not list {missing}.")
        return _Result(text, _unsettled(call, why, options))
    problem = f"The exchange of {missing} did not happen: the history does not list it."
    return _Result(text, NotExchangedError(f"{problem} You can send it again. {cause}"))


def _say_pause(seconds: float) -> None:
    say(f"the history does not list it yet; asking again in {seconds:.1f} s")


def _unsettled(call: Call[Any], cause: BaseException | None, options: Namespace) -> UnsettledError:
    """The error of an exchange whose result is not known."""
    reason = f"interrupted by {cause}." if isinstance(cause, KeyboardInterrupt) else str(cause)
    names, command = ", ".join(call.subject), _history_command(call.receipt, options)
    after = f"After {_iso(call.receipt.conclusive_at)}, run: `{command}`."
    if options.accepted:
        problem = f"Binance accepted the exchange of {names}, but its result is not known: {reason}"
        advice = f"Do not send it again. {after} It lists the result."
    else:
        problem = f"The exchange of {names} may have taken effect: {reason}"
        advice = (
            f"Do not send it again yet. {after} If it lists the exchange, it took effect; if not,"
            " it did not happen and can be sent again."
        )
    error = UnsettledError(f"{problem} {advice}")
    error.__cause__ = cause
    return error


def _history_command(receipt: Receipt, options: Namespace) -> str:
    since, until = _iso(receipt.sent_at), _iso(receipt.conclusive_at)
    words = [PROGRAM, "history", "--since", since, "--until", until, *given(options)]
    return shlex.join(words)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
