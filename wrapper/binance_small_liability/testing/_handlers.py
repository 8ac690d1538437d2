"""What each operation does. `HANDLERS` at the end is the list.

A handler receives the account and the parameters of a request that passed all checks, typed and
with the contract's defaults. It returns the body: bytes, or a value to write as JSON. It raises
Refused before it changes anything.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Context
from typing import Any

from binance_small_liability._records import EPOCH, Coin, Exchange, milliseconds

from ._account import Account
from ._json import payload

_HOUR = 60 * 60 * 1000  # milliseconds
_DEFAULT_RANGE = 30 * 24 * _HOUR
# The usual context would round to 28 digits.
_EXACT = Context(prec=200)


class Refused(Exception):
    """The operation's own rules refuse the request."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def list_coins(account: Account, _: dict[str, Any]) -> Any:
    """The coins. Their quantity is a number, as documented, unless `quote_quantity` is set."""
    rows = [payload(coin) for coin in account.coins]
    if not account.quote_quantity:
        for row, coin in zip(rows, account.coins, strict=True):
            row["liabilityQty"] = coin.liability_qty
    return rows


def exchange(account: Account, parameters: dict[str, Any]) -> Any:
    """Exchanges the debts in all the coins, or in none.

    Binance does not document the codes of these rules; those used here are guesses.
    """
    now = account.now
    pause = account.hours_between_exchanges * _HOUR
    if any(now - milliseconds(each.time) < pause for each in account.exchanges):
        raise Refused(-3007)
    names = parameters["assetNames"].split(",")
    if len(set(names)) < len(names):
        raise Refused(-1102)
    coins = {coin.asset: coin for coin in account.coins}
    if not coins.keys() >= set(names):
        raise Refused(-3027)
    account.exchanges += [_exchanged(coins[name], now) for name in names]
    account.coins = [coin for coin in account.coins if coin.asset not in names]
    return account.exchange_body


def _exchanged(coin: Coin, now: int) -> Exchange:
    return Exchange(
        asset=coin.asset,
        amount=_EXACT.add(coin.principal, coin.interest),
        target_asset=coin.liability_asset,
        target_amount=coin.liability_qty,
        biz_type="EXCHANGE_SMALL_LIABILITY",
        time=EPOCH + timedelta(milliseconds=now),
    )


def list_exchanges(account: Account, parameters: dict[str, Any]) -> Any:
    """One page, newest first: Binance promises no order, so clients must sort."""
    start = parameters.get("startTime", account.now - _DEFAULT_RANGE)
    end = parameters.get("endTime", account.now)
    found = [each for each in account.exchanges if start <= milliseconds(each.time) <= end]
    found.sort(key=lambda each: each.time, reverse=True)
    size = parameters["size"]
    first = (parameters["current"] - 1) * size
    return {"total": len(found), "rows": [payload(each) for each in found[first : first + size]]}


def server_time(account: Account, _: dict[str, Any]) -> Any:
    """The clock."""
    return {"serverTime": account.now}


Handler = Callable[[Account, dict[str, Any]], Any]

# By operationId. A handler has the name of the client's method, and scripts use this name too. An
# operation without a handler answers with the contract's first example of a 200.
HANDLERS: dict[str, Handler] = {
    "getSmallLiabilityExchangeCoinList": list_coins,
    "smallLiabilityExchange": exchange,
    "getSmallLiabilityExchangeHistory": list_exchanges,
    "getServerTime": server_time,
}
