"""The effects of operations: coins, exchange, history, and operations without a handler."""

import inspect
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import attrs
import pytest
from binance_small_liability import Exchange, SmallLiabilityClient, operations
from binance_small_liability.testing import FakeBinance
from binance_small_liability.testing._handlers import HANDLERS

from tests.conftest import ETH, ListCoins
from tests.fake.conftest import StoppedClock, both_ways
from tests.fake.sending import Sender, used, verdict
from tools.contract import examples, today
from tools.operations import EXCHANGE, LIST_EXCHANGES, OPERATIONS, SERVER_TIME, Operation

BTC = attrs.evolve(ETH, asset="BTC", liability_asset="USDC", liability_qty=Decimal("1E-8"))
SATS = attrs.evolve(ETH, asset="币安人生", principal=Decimal("123456789012.123456789012345678"))
HOUR = 3600
MOST = EXCHANGE.generated.parameters["asset_names"].maximum or 0


@both_ways
@pytest.mark.parametrize("quoted", [False, True])
def test_coins_keep_every_digit(list_coins: ListCoins, sender: Sender, quoted: bool) -> None:
    fake = sender.fake
    fake.quote_quantity = quoted
    fake.coins = [
        attrs.evolve(SATS, liability_qty=Decimal(quantity))
        for quantity in ("0.3552", "1E-8", "0.12345678901234567890123", "9", "1E+3", "-0.5")
    ]
    assert list_coins(**fake.credentials, transport=fake.transport()) == fake.coins
    payload = json.loads(sender.send().text, parse_float=Decimal)
    quantities = [item["liabilityQty"] for item in payload]
    assert {type(quantity) for quantity in quantities} == ({str} if quoted else {Decimal, int})


@pytest.mark.usefixtures("clock")
def test_an_exchange_moves_coins_to_the_history() -> None:
    fake = FakeBinance()
    fake.coins = shown = [ETH, BTC, SATS]
    with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
        client.exchange(["币安人生", "BTC"])
        assert client.list_coins() == [ETH] == fake.coins
        assert sorted(client.list_exchanges(), key=str) == sorted(fake.exchanges, key=str)
    now = datetime.fromtimestamp(fake.now / 1000, UTC)
    kind = "EXCHANGE_SMALL_LIABILITY"
    expected = [
        ("币安人生", "123456789012.124290129012345678", "USDT", "0.3552", kind, now),
        ("BTC", "0.00183334", "USDC", "0.00000001", kind, now),
    ]
    # With every digit, and under whatever names the contract has for them. Others are unknown.
    for done, values in zip(fake.exchanges, expected, strict=True):
        known = (value for value in attrs.astuple(done) if value is not None)
        assert tuple(f"{v:f}" if isinstance(v, Decimal) else v for v in known) == values
    # The list belongs to the test.
    assert shown == [ETH, BTC, SATS]


@pytest.mark.parametrize(
    ("assets", "code"),
    [
        (["ETH", "LTC"], -3027),
        (["eth"], -3027),
        (["ETH", "ETH"], -1102),
        ([f"C{n}" for n in range(MOST + 1)], -1102),
    ],
)
def test_a_refused_exchange_changes_nothing(sender: Sender, assets: list[str], code: int) -> None:
    fake = sender.fake
    fake.coins = [ETH, BTC, *(attrs.evolve(ETH, asset=f"C{n}") for n in range(MOST + 1))]
    before = list(fake.coins)
    response = sender.exchange(*assets)
    assert (verdict(response), used(response, EXCHANGE)) == ((400, code), 1)
    assert (fake.coins, fake.exchanges) == (before, [])
    # One less is not too many.
    assert verdict(sender.exchange(*(f"C{n}" for n in range(MOST)))) == (200, None)


def test_a_second_exchange_within_six_hours(sender: Sender, clock: StoppedClock) -> None:
    sender.fake.coins = [ETH, BTC, SATS]
    assert verdict(sender.exchange("ETH")) == (200, None)
    clock.advance(6 * HOUR - 0.001)
    assert verdict(sender.exchange("BTC")) == (400, -3007)
    clock.advance(0.001)
    assert verdict(sender.exchange("BTC")) == (200, None)
    assert verdict(sender.exchange("币安人生")) == (400, -3007)
    sender.fake.hours_between_exchanges = 0
    assert verdict(sender.exchange("币安人生")) == (200, None)
    assert [each.asset for each in sender.fake.exchanges] == ["ETH", "BTC", "币安人生"]


@both_ways
@pytest.mark.parametrize("body", [b"", b"{}", b"[{}]", b"null", b'{"tranId":1'])
def test_the_body_of_an_exchange(sender: Sender, body: bytes) -> None:
    assert json.loads(sender.fake.exchange_body) == EXCHANGE.example
    sender.fake.exchange_body = body
    response = sender.exchange("ETH")
    assert (response.status_code, response.content) == (200, body)
    assert len(sender.fake.exchanges) == 1


# The history


def exchanges_of(fake: FakeBinance, *days_ago: float) -> list[Exchange]:
    now = datetime.fromtimestamp(fake.now / 1000, UTC)
    [done] = LIST_EXCHANGES.documented
    return [
        attrs.evolve(done, asset=f"C{n}", time=now - timedelta(days=days))
        for n, days in enumerate(days_ago)
    ]


def assets(sender: Sender, query: str = "current=1&size=100") -> tuple[int, list[str]]:
    page = sender.history(query).json()
    return page["total"], [row["asset"] for row in page["rows"]]


@pytest.mark.usefixtures("clock")
def test_the_newest_exchange_is_first(sender: Sender) -> None:
    fake = sender.fake
    fake.exchanges = exchanges_of(fake, 2, 0, 3, 1)
    assert assets(sender) == (4, ["C1", "C3", "C0", "C2"])
    assert sender.history().json()["rows"] == [fake.exchanges[1].to_dict()]
    # The client sorts.
    with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
        assert [each.asset for each in client.list_exchanges()] == ["C2", "C0", "C3", "C1"]


@pytest.mark.usefixtures("clock")
def test_pages(sender: Sender) -> None:
    sender.fake.exchanges = exchanges_of(sender.fake, *range(5))
    pages = [assets(sender, f"current={n}&size=2") for n in range(1, 5)]
    assert pages == [(5, ["C0", "C1"]), (5, ["C2", "C3"]), (5, ["C4"]), (5, [])]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # Both bounds are part of the range. Without them it is the last 30 days.
        ("", ["C1", "C2"]),
        ("&startTime={-40}", ["C1", "C2", "C3"]),
        ("&startTime={-40}&endTime={-30}", ["C2", "C3"]),
        ("&endTime={-30}", ["C2"]),
        ("&endTime={1}", ["C0", "C1", "C2"]),
        ("&startTime={-1}&endTime={-2}", []),
        ("&startTime=0&endTime={most}", ["C0", "C1", "C2", "C3", "C4"]),
    ],
)
def test_the_range_of_time(sender: Sender, query: str, expected: list[str]) -> None:
    sender.fake.exchanges = exchanges_of(sender.fake, -1, 0, 30, 40, 40 + 1e-6)
    for days in (-40, -30, -2, -1, 1):
        query = query.replace(f"{{{days}}}", str(sender.fake.now + days * 24 * HOUR * 1000))
    latest = LIST_EXCHANGES.generated.parameters["end_time"].maximum
    query = query.replace("{most}", str(latest))
    assert assets(sender, f"current=1&size=100{query}") == (len(expected), expected)


# Operations and their handlers


@pytest.mark.parametrize("name", HANDLERS)
def test_a_handler_names_each_parameter_of_its_operation(name: str) -> None:
    known = set(inspect.signature(HANDLERS[name]).parameters)
    needed = set(operations.ALL[name].parameters) - {"recv_window"}
    assert needed <= known, f"add {needed - known} to {name} in testing/_handlers.py"


def test_a_parameter_that_a_handler_does_not_name_is_refused(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HANDLERS, "list_exchanges", lambda _, current: {"current": current})
    assert verdict(sender.history()) == (400, -1104)


@pytest.mark.parametrize("operation", [*OPERATIONS, SERVER_TIME], ids=lambda each: each.name)
def test_without_a_handler_the_contract_answers(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, operation: Operation
) -> None:
    monkeypatch.delitem(HANDLERS, operation.name, raising=False)
    documented = examples(today(), operation.method, operation.path)
    first = next(each for each in documented if each.status == "200")
    response = sender.documented(operation)
    assert response.status_code == 200
    assert json.loads(response.text, parse_float=Decimal) == first.value
