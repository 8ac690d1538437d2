"""Coins are exact, and an error names the place where a 200 breaks the contract."""

import re
from decimal import Decimal

import attrs
import httpx
import pytest
from binance_small_liability import Coin, ContractError
from binance_small_liability._io.messages import Answer
from binance_small_liability._operations import _documented, _server_time
from binance_small_liability._records import (
    EARLIEST_TIME,
    LATEST_TIME,
    ExchangePage,
    Mismatch,
    Reader,
)

from tests.conftest import ETH, ListCoins
from tests.wire import DOCUMENTED, response, serving


def _body(**values: str) -> bytes:
    """The documented answer, with other JSON text for some of its values."""
    texts = {
        "asset": '"ETH"',
        "interest": '"0.00083334"',
        "principal": '"0.001"',
        "liabilityAsset": '"USDT"',
        "liabilityQty": "0.3552",
        **values,
    }
    return ("[{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}]").encode()


@pytest.mark.parametrize("field", ["principal", "interest", "liabilityQty"])
@pytest.mark.parametrize(
    "text",
    [
        "123456789012.123456789012345678",
        '"123456789012.123456789012345678"',
        "1E-8",
        "3",
        '"0.01490522"',
        "0",
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
    name = {"liabilityQty": "liability_qty"}.get(field, field)
    amount = getattr(coin, name)
    assert type(amount) is Decimal
    # Digits and exponent, not only the value: 0.1000 stays 0.1000.
    assert amount.as_tuple() == Decimal(text.strip('"')).as_tuple()


def test_the_documented_answer(list_coins: ListCoins) -> None:
    with serving(response(DOCUMENTED)) as server:
        assert list_coins(base_url=server.url) == [ETH]


def test_no_coins(list_coins: ListCoins) -> None:
    with serving(response([])) as server:
        assert list_coins(base_url=server.url) == []


def test_names_outside_ascii_and_unknown_fields_are_accepted(list_coins: ListCoins) -> None:
    with serving(response(_body(asset='"币安人生"', somethingNew='{"a": 1}'))) as server:
        [coin] = list_coins(base_url=server.url)
    assert coin == attrs.evolve(ETH, asset="币安人生")


def test_a_coin_is_a_value() -> None:
    assert repr(ETH).startswith("Coin(asset='ETH', principal=Decimal('0.001'), interest=Decimal(")
    assert len({ETH, attrs.evolve(ETH), attrs.evolve(ETH, asset="BTC")}) == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ETH.asset = "BTC"  # type: ignore[misc]


def test_the_docstring_of_a_coin_describes_its_fields() -> None:
    _, _, attributes = str(Coin.__doc__).partition("Attributes:")
    described = set(re.findall(r"^ +(\w+): ", attributes, re.MULTILINE))
    assert len(described) >= 5
    assert described <= {field.name for field in attrs.fields(Coin)}, (
        "The docstring of Coin in _records.py describes a field that it does not have"
    )


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{}", "$: expected an array, got an object"),
        (b"null", "$: expected an array, got null"),
        (b"3", "$: expected an array, got a number"),
        (b'""', "$: expected an array, got a string"),
        (b"[[]]", "$[0]: expected an object, got an array"),
        (b'[[["asset","ETH"]]]', "$[0]: expected an object, got an array"),
        (DOCUMENTED[:-1] + b",1]", "$[1]: expected an object, got a number"),
        (b"[{}]", "$[0].asset: missing"),
        (_body(principal="null"), "$[0].principal: expected a decimal, got null"),
        (_body(principal="true"), "$[0].principal: expected a decimal, got a boolean"),
        (_body(interest='"NaN"'), "$[0].interest: expected a decimal, got a string"),
        (_body(interest='" 1"'), "$[0].interest: expected a decimal, got a string"),
        (_body(interest=r'"1\n2"'), "$[0].interest: expected a decimal, got a string"),
        (_body(interest=r'"1\n"'), "$[0].interest: expected a decimal, got a string"),
        (_body(interest='""'), "$[0].interest: expected a decimal, got a string"),
        (_body(interest='"1_0"'), "$[0].interest: expected a decimal, got a string"),
        (_body(interest='"١"'), "$[0].interest: expected a decimal, got a string"),
        (_body(liabilityQty="[]"), "$[0].liabilityQty: expected a decimal, got an array"),
        (_body(liabilityQty="{}"), "$[0].liabilityQty: expected a decimal, got an object"),
        (_body(asset="1"), "$[0].asset: expected a string that is not empty, got a number"),
        (_body(asset='""'), "$[0].asset: expected a string that is not empty, got a string"),
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


def test_a_field_that_the_contract_does_not_require() -> None:
    @attrs.frozen
    class Newer:
        tier: str | None = None
        fee: Decimal | None = None

    read = Reader[list[Newer]](list[Newer]).read
    newer, _ = read([{}, {"tier": None, "fee": 1}, {"tier": "A", "fee": "0.1"}])
    assert newer == [Newer(), Newer(None, Decimal(1)), Newer("A", Decimal("0.1"))]
    fault = "$[0].fee: expected a decimal, got a boolean"
    with pytest.raises(Mismatch, match=re.escape(fault)):
        read([{"fee": True}])


# The clients' own readers are made when the package is imported. These are made in the tests.


def _answer(body: bytes, status: int = 200) -> Answer:
    return Answer(status, httpx.Headers(), body)


def test_a_documented_answer_is_read() -> None:
    assert _documented(list[Coin])(_answer(DOCUMENTED)) == ([ETH], set())
    with pytest.raises(ContractError, match=r"^HTTP 201 is not in the contract \("):
        _documented(list[Coin])(_answer(DOCUMENTED, 201))


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{}", "$: expected an array, got an object"),
        (b"[[]]", "$[0]: expected an object, got an array"),
        (DOCUMENTED[:-1] + b",1]", "$[1]: expected an object, got a number"),
        (b"[{}]", "$[0].asset: missing"),
        (_body(principal="null"), "$[0].principal: expected a decimal, got null"),
    ],
)
def test_a_mismatch_says_where(body: bytes, where: str) -> None:
    with pytest.raises(ContractError) as caught:
        _documented(list[Coin])(_answer(body))
    assert str(caught.value).startswith(f"The answer breaks the contract at {where}")


def test_unknown_fields_of_all_records_are_named() -> None:
    coins = _body(fee="1")[:-1] + b"," + _body(tier="2")[1:]
    assert _documented(list[Coin])(_answer(coins))[1] == {"fee", "tier"}

    @attrs.frozen
    class Item:
        first_trade_id: int | None = None

    @attrs.frozen
    class Newer:
        item: Item | None

    read = Reader[Newer](Newer).read
    newer = Newer(Item(7))
    assert read({"item": {"firstTradeId": 7, "x": 1}, "y": 2}) == (newer, {"x", "y"})


def test_a_field_may_have_another_name_in_the_payload() -> None:
    row = {"asset": "A", "amount": 1, "targetAsset": "B", "targetAmount": 2, "bizType": "C"}
    page, unknown = Reader[ExchangePage](ExchangePage).read(
        {"total": 1, "rows": [{**row, "timestamp": EARLIEST_TIME}]}
    )
    assert page.rows[0].time.timestamp() * 1000 == EARLIEST_TIME
    assert unknown == set()


@pytest.mark.parametrize("time", [EARLIEST_TIME, LATEST_TIME])
def test_a_server_time_within_the_contract(time: int) -> None:
    assert _server_time(_answer(b'{"serverTime":%d}' % time)) == (time, set())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"serverTime":%d}' % (EARLIEST_TIME - 1), 200),
        (b'{"serverTime":%d}' % (LATEST_TIME + 1), 200),
        (b'{"serverTime":%d}' % LATEST_TIME, 201),
        (b'{"serverTime":1800000000000.0}', 200),
        (b"{}", 200),
    ],
)
def test_a_server_time_outside_the_contract(body: bytes, status: int) -> None:
    with pytest.raises(ContractError, match=f"^HTTP {status} without a time"):
        _server_time(_answer(body, status))
