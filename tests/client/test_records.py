"""Coins are exact values.

tests/contract/test_generated.py tests every kind of value, client/test_faults.py wrong answers.
"""

import json
import pickle
from decimal import Decimal

import attrs
import pytest

from tests.conftest import ETH, ListCoins
from tests.wire import DOCUMENTED, response, serving


def _body(**values: str) -> bytes:
    """The documented answer, with other JSON text for some of its values."""
    [coin] = json.loads(DOCUMENTED)
    texts = {name: json.dumps(value) for name, value in coin.items()} | values
    return ("[{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}]").encode()


AMOUNTS = [
    "123456789012.123456789012345678",
    '"123456789012.123456789012345678"',
    *("1E-8", "3", "-0.5", "1e+20", "0.1000"),
    "9" * 5000,
    "0." + "1" * 5000,
]


def test_amounts_are_exact(list_coins: ListCoins) -> None:
    coins = [_body(principal=text, interest=text, liabilityQty=text)[1:-1] for text in AMOUNTS]
    with serving(response(b"[" + b",".join(coins) + b"]")) as server:
        found = list_coins(base_url=server.url)
    for text, coin in zip(AMOUNTS, found, strict=True):
        for amount in (coin.principal, coin.interest, coin.liability_qty):
            assert type(amount) is Decimal
            # Digits and exponent, not only the value: 0.1000 stays 0.1000.
            assert amount.as_tuple() == Decimal(text.strip('"')).as_tuple()


@pytest.mark.parametrize(
    ("body", "coins"),
    [
        (DOCUMENTED, [ETH]),
        (b"[]", []),
        # Names may be outside ASCII, and unknown fields are accepted.
        (_body(asset='"币安人生"', somethingNew='{"a": 1}'), [attrs.evolve(ETH, asset="币安人生")]),
    ],
)
def test_what_a_success_becomes(list_coins: ListCoins, body: bytes, coins: list[object]) -> None:
    with serving(response(body)) as server:
        assert list_coins(base_url=server.url) == coins


def test_a_coin_is_a_value() -> None:
    values = ", ".join(
        f"{name}={value!r}" for name, value in attrs.asdict(ETH, recurse=False).items()
    )
    assert repr(ETH) == f"Coin({values})"
    copy = pickle.loads(pickle.dumps(ETH))  # noqa: S301 - it is our own
    assert copy == ETH
    assert copy != attrs.evolve(ETH, asset="BTC")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ETH.asset = "BTC"  # type: ignore[misc]
