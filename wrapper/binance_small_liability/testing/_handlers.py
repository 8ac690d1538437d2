"""What each operation does. `HANDLERS` at the end is the list.

A handler receives the account and the parameters of a request that passed all checks, by their
Python names and with the contract's types and defaults. It names each parameter of its operation;
the fake refuses a request with a parameter that the handler does not name. It returns the body:
bytes, a value to write as JSON, or None for the contract's first example. It raises Refused before
it changes anything.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Context
from typing import Any

from binance_small_liability_api.records import Coin, Exchange, ExchangePage, ServerTime
from binance_small_liability_api.values import moment

from ._account import Account

_DEFAULT_RANGE = timedelta(days=30)
# The usual context would round to 28 digits.
_EXACT = Context(prec=200)


class Refused(Exception):
    """The operation's own rules refuse the request."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def list_coins(account: Account) -> Any:
    """The coins. Their quantity is a number, as documented, unless `quote_quantity` is set."""
    rows = [coin.to_dict() for coin in account.coins]
    if account.quote_quantity:
        for row, coin in zip(rows, account.coins, strict=True):
            row["liabilityQty"] = format(coin.liability_qty, "f")
    return rows


def exchange(account: Account, *, asset_names: list[str]) -> Any:
    """Exchanges the debts in all the coins, or in none.

    Binance does not document the codes of these rules; those used here are guesses.
    """
    now = moment(account.now)
    pause = timedelta(hours=account.hours_between_exchanges)
    if any(now - each.time < pause for each in account.exchanges):
        raise Refused(-3007)
    if len(set(asset_names)) < len(asset_names):
        raise Refused(-1102)
    coins = {coin.asset: coin for coin in account.coins}
    if not coins.keys() >= set(asset_names):
        raise Refused(-3027)
    account.exchanges += [_exchanged(coins[name], now) for name in asset_names]
    account.coins = [coin for coin in account.coins if coin.asset not in asset_names]
    return account.exchange_body


def _exchanged(coin: Coin, now: datetime) -> Exchange:
    return Exchange(
        asset=coin.asset,
        amount=_EXACT.add(coin.principal, coin.interest),
        target_asset=coin.liability_asset,
        target_amount=coin.liability_qty,
        biz_type="EXCHANGE_SMALL_LIABILITY",
        time=now,
    )


def list_exchanges(
    account: Account,
    *,
    current: int,
    size: int,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
) -> Any:
    """One page, newest first: Binance promises no order, so clients must sort."""
    now = moment(account.now)
    start, end = start_time or now - _DEFAULT_RANGE, end_time or now
    found = [each for each in account.exchanges if start <= each.time <= end]
    found.sort(key=lambda each: each.time, reverse=True)
    first = (current - 1) * size
    return ExchangePage(total=len(found), rows=found[first : first + size]).to_dict()


def server_time(account: Account) -> Any:
    """The clock."""
    return ServerTime(server_time=moment(account.now)).to_dict()


# By operationId.
HANDLERS: dict[str, Callable[..., Any]] = {
    handler.__name__: handler for handler in (list_coins, exchange, list_exchanges, server_time)
}
