"""Coins are exact, and an error names the place where a 200 breaks the contract.

tests/contract/test_generated.py tests every kind of value.
"""

import json
from decimal import Decimal

import attrs
import pytest
from binance_small_liability import ContractError

from tests.conftest import ETH, ListCoins
from tests.wire import DOCUMENTED, response, serving


def _body(**values: str) -> bytes:
    """The documented answer, with other JSON text for some of its values."""
    [coin] = json.loads(DOCUMENTED)
    texts = {name: json.dumps(value) for name, value in coin.items()} | values
    return ("[{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}]").encode()


@pytest.mark.parametrize("field", ["principal", "interest", "liabilityQty"])
@pytest.mark.parametrize(
    "text",
    [
        "123456789012.123456789012345678",
        '"123456789012.123456789012345678"',
        "1E-8",
        "3",
        "-0.5",
        "1e+20",
        "0.1000",
        "9" * 5000,
        "0." + "1" * 5000,
    ],
)
def test_amounts_are_exact(list_coins: ListCoins, field: str, text: str) -> None:
    with serving(response(_body(**{field: text}))) as server:
        [coin] = list_coins(base_url=server.url)
    amount = getattr(coin, {"liabilityQty": "liability_qty"}.get(field, field))
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
    values = ", ".join(f"{name}={value!r}" for name, value in attrs.asdict(ETH).items())
    assert repr(ETH) == f"Coin({values})"
    assert len({ETH, attrs.evolve(ETH), attrs.evolve(ETH, asset="BTC")}) == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ETH.asset = "BTC"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{}", "$: expected an array, got an object"),
        (b"null", "$: expected an array, got null"),
        (DOCUMENTED[:-1] + b",1]", "$[1]: expected an object, got a number"),
        (_body(asset="1"), "$[0].asset: expected a string that is not empty, got a number"),
        (_body(asset='""'), "$[0].asset: expected a string that is not empty, got a string"),
        (_body(principal='"NaN"'), "$[0].principal: expected a decimal, got a string"),
        (_body(liabilityQty="NaN"), "its body is not JSON"),
        (_body(liabilityQty="-Infinity"), "its body is not JSON"),
        (_body(liabilityQty="1e99999999999999999999"), "its body is not JSON"),
        (b"", "its body is not JSON"),
        (b"[", "its body is not JSON"),
        (b"<html></html>", "its body is not JSON"),
        (b'["\xff"]', "its body is not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "its body is not JSON"),
    ],
)
def test_a_200_that_breaks_the_contract_names_the_place(
    list_coins: ListCoins, body: bytes, where: str
) -> None:
    with serving(response(body)) as server, pytest.raises(ContractError) as caught:
        list_coins(base_url=server.url)
    assert where in str(caught.value)
    assert caught.value.attempts == 1


def test_another_success_than_200_is_not_in_the_contract(list_coins: ListCoins) -> None:
    with serving(response(DOCUMENTED, 202)) as server, pytest.raises(ContractError, match="202"):
        list_coins(base_url=server.url)
