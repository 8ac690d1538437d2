"""The command `exchange`: it shows the debts, asks, and exchanges them."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from datetime import timedelta

from binance_small_liability._call.clock import MOST_AHEAD
from binance_small_liability._client import SmallLiabilityClient
from binance_small_liability._errors import OutcomeUnknownError
from binance_small_liability._operations import MOST_ASSETS
from binance_small_liability._records import EPOCH, Coin

from .connection import add_connection, client
from .errors import PROGRAM, CommandError, WrongUseError
from .formats import render
from .output import write


def add_exchange(parser: ArgumentParser) -> None:
    """Adds the arguments."""
    add = parser.add_argument
    add("coins", nargs="*", metavar="COIN", help="exchange the debt in COIN; case is ignored")
    add("--all", action="store_true", help="exchange all coins that `list` shows")
    add("--yes", action="store_true", help="do not ask")
    add_connection(parser)


def exchange(options: Namespace) -> None:
    """Exchange small debts for a debt in a coin that Binance chooses."""
    if bool(options.coins) == options.all:
        raise WrongUseError("name the coins to exchange, or give --all")
    if not options.all:
        _check_number(options.coins)
    if not options.yes and not _has_terminal():
        raise WrongUseError("without a terminal to ask in, exchange needs --yes")
    with client(options) as binance:
        coins = _chosen(binance.list_coins(), options)
        if not coins:
            write("There are no small debts to exchange.\n")
            return
        _show(coins)
        if not options.yes and not _agreed():
            raise CommandError("nothing was exchanged")
        _send(binance, [coin.asset for coin in coins])


def _check_number(names: list[str]) -> None:
    if len(names) > MOST_ASSETS:
        raise WrongUseError(
            f"Binance exchanges at most {MOST_ASSETS} coins at a time, not {len(names)}; name at"
            f" most {MOST_ASSETS} of: {' '.join(names)}"
        )


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _chosen(coins: list[Coin], options: Namespace) -> list[Coin]:
    if options.all:
        _check_number([coin.asset for coin in coins])
        return coins
    found = {coin.asset.casefold(): coin for coin in coins}
    unknown = [name for name in options.coins if name.casefold() not in found]
    if unknown:
        known = " ".join(coin.asset for coin in coins) or "none"
        raise WrongUseError(
            f"no small debt can be exchanged in {' '.join(unknown)}; coins that `list` shows:"
            f" {known}"
        )
    # A coin that was named twice is exchanged once.
    return [found[name] for name in dict.fromkeys(map(str.casefold, options.coins))]


def _show(coins: Iterable[Coin]) -> None:
    targets = ", ".join(dict.fromkeys(coin.liability_asset for coin in coins))
    write(render(Coin, coins, "table"))
    write(f"Binance chooses the coin that is owed instead; it values these debts in {targets}.\n")


def _agreed() -> bool:
    write("Exchange these debts? [y/N] ")
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def _send(binance: SmallLiabilityClient, names: list[str]) -> None:
    earliest = binance._caller.clock.now() - MOST_AHEAD
    try:
        binance.exchange(names)
    except KeyboardInterrupt as interrupt:
        # Whether the request was already sent is not known here.
        sent_at = EPOCH + timedelta(milliseconds=earliest)
        raise OutcomeUnknownError(assets=names, sent_at=sent_at) from interrupt
    accepted = f"Binance accepted the exchange of {', '.join(names)}"
    try:
        write(f"{accepted}. The result is listed by: {PROGRAM} history\n")
    except CommandError as error:
        raise CommandError(f"{accepted}, but {error}") from error
