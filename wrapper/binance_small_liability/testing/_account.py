"""The fake's account, and its clock."""

from binance_small_liability_api.records import Coin, Exchange

from binance_small_liability._io import real_time


class Account:
    """One account.

    Attributes:
        coins: the coins whose small debts can be exchanged.
        exchanges: the past exchanges.
        quote_quantity: whether `liabilityQty` is written as a string.
        hours_between_exchanges: hours after an exchange in which the next one is refused, or 0.
        exchange_body: the body of the answer to an exchange that took effect.
        clock_skew: milliseconds by which its clock is ahead of this machine's.
    """

    def __init__(
        self, coins: list[Coin], hours_between_exchanges: float, exchange_body: bytes
    ) -> None:
        self.coins = coins
        self.exchanges: list[Exchange] = []
        self.quote_quantity = False
        self.hours_between_exchanges = hours_between_exchanges
        self.exchange_body = exchange_body
        self.clock_skew = 0

    @property
    def coins(self) -> list[Coin]:
        """A list of `Coin`. Raises TypeError if it is set to something else."""
        return self._coins

    @coins.setter
    def coins(self, coins: list[Coin]) -> None:
        if not isinstance(coins, list) or not all(isinstance(each, Coin) for each in coins):
            raise TypeError("coins must be a list of Coin records")
        self._coins = coins

    @property
    def now(self) -> int:
        """Its clock: Unix time in milliseconds."""
        return real_time.unix_ns() // 1_000_000 + self.clock_skew

    @property
    def limits_now(self) -> int:
        """The clock of its limits, which also counts the waits that `no_waiting` skipped."""
        return self.now + round(real_time.skipped() * 1000)

    def advance(self, seconds: float) -> None:
        """Moves the clock forward; within `no_waiting` also that of this package's clients."""
        if not real_time.advance(seconds):
            self.clock_skew += round(seconds * 1000)
