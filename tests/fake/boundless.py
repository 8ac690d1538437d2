"""A fake Binance that can take hundreds of requests."""

import sys
from collections.abc import Callable
from urllib.parse import parse_qsl

import attrs
import httpx
from binance_small_liability.testing import FakeBinance

from tests.conftest import ETH


class Boundless(FakeBinance):
    """It has no limits, and its account has a debt in every requested coin.

    So it accepts what the contract allows, except for repeated asset names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight_limit = sys.maxsize
        self.hours_between_exchanges = 0

    def handle(
        self, request: httpx.Request, wait: Callable[[float], None] | None = None
    ) -> httpx.Response:
        query = request.extensions["target"].decode("latin-1").partition("?")[2]
        names = set(dict(parse_qsl(query)).get("assetNames", "ETH").split(","))
        self.coins = [attrs.evolve(ETH, asset=name) for name in names]
        return super().handle(request, wait)
