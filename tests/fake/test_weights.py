"""Request weights, refusals and bans."""

import sys
from typing import Any

import pytest
from binance_small_liability import SmallLiabilityClient
from binance_small_liability.testing import FakeBinance, no_waiting

from tests.fake.conftest import StoppedClock, both_ways
from tests.fake.sending import Sender, used, verdict
from tools.operations import EXCHANGE, LIST_COINS, LIST_EXCHANGES, OPERATIONS, SIGNED, Operation

WEIGHT = LIST_COINS.generated.weight
LIMITED = [each for each in OPERATIONS if each.generated.weight_per_minute]


def most(operation: Operation) -> int:
    """How many requests a minute has room for."""
    return (operation.generated.weight_per_minute or 0) // operation.generated.weight


# Of each limiter, the operation that uses up its budget first.
TIGHTEST = {each.generated.limiter: each for each in sorted(LIMITED, key=most, reverse=True)}


def once(fake: FakeBinance) -> dict[str, Any]:
    return {**fake.credentials, "transport": fake.transport(), "max_attempts": 1}


@pytest.mark.parametrize("operation", TIGHTEST.values(), ids=lambda each: each.name)
def test_the_weight_of_a_minute(sender: Sender, clock: StoppedClock, operation: Operation) -> None:
    room = most(operation)
    # Requests that are refused for other reasons count, too.
    refused: dict[str, Any] = {"tail": "&signature=0"} if operation.generated.signed else {}
    for call in range(1, room + 1):
        assert used(sender.documented(operation, **refused), operation) == call
        if call == 3:
            clock.advance(20)
    limited = sender.documented(operation)
    assert verdict(limited) == (429, -1003)
    assert limited.headers["Retry-After"] == "40"
    assert used(limited, operation) == room + 1
    # Another operation, even of the same path, has its own budget.
    for other in LIMITED:
        if other is not operation:
            assert used(sender.documented(other), other) == 1
    clock.advance(39)
    assert sender.fake.now % 60_000 == 59_000
    clock.advance(1)
    assert used(sender.documented(operation), operation) == 1


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("operation", SIGNED, ids=lambda each: each.name)
def test_another_key_is_another_account_at_the_same_address(
    sender: Sender, operation: Operation
) -> None:
    keys: tuple[dict[str, Any], ...] = ({}, {"headers": {"X-MBX-APIKEY": "x" * 64}})
    counts = [
        used(sender.documented(operation, **key), operation)
        for key in (*keys, {"headers": {}}, *keys)
    ]
    by_account = operation.generated.limiter == "UID"
    assert counts == ([1, 1, 1, 2, 2] if by_account else [1, 2, 3, 4, 5])


@pytest.mark.usefixtures("clock")
def test_a_chosen_limit(sender: Sender) -> None:
    sender.fake.weight_limit = WEIGHT
    assert [sender.send().status_code for _ in range(2)] == [200, 429]
    # The server time has no budget of its own, so no weight is counted.
    assert [sender.time().status_code for _ in range(101)] == [200] * 101
    sender.fake.weight_limit = sys.maxsize
    # One more than Binance's limit allows.
    room = most(LIST_COINS) + 1
    assert [sender.send().status_code for _ in range(room)] == [200] * room


def test_a_chosen_minute(sender: Sender, clock: StoppedClock) -> None:
    sender.fake.weight_limit = WEIGHT
    sender.fake.minute = 0.5
    assert [sender.send().status_code for _ in range(2)] == [200, 429]
    clock.advance(0.5)
    assert sender.send().status_code == 200


@pytest.mark.parametrize("operation", [LIST_COINS, LIST_EXCHANGES], ids=lambda each: each.name)
def test_bans_grow_and_concern_everything(
    sender: Sender, clock: StoppedClock, operation: Operation
) -> None:
    sender.fake.weight_limit = operation.generated.weight
    lengths = []
    for _ in range(13):
        answers = [sender.documented(operation) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 429, 418, 418]
        # What is refused counts until the ban.
        assert [used(answer, operation) for answer in answers] == [1, 2, 3, 3]
        clock.advance(1)
        banned = sender.documented(EXCHANGE)
        assert verdict(banned) == (418, -1003)
        assert {sender.documented(each).status_code for each in OPERATIONS} == {418}
        assert sender.time().status_code == 418
        lengths.append(int(banned.headers["Retry-After"]) + 1)
        clock.advance(lengths[-1] - 2)
        assert sender.documented(operation).status_code == 418
        # The ban ends with its last second, and so does the minute that began it.
        clock.advance(1)
        assert sender.documented(operation).status_code == 200
        clock.advance(60)
    assert lengths == [min(120 * 2**n, 259_200) for n in range(13)]
    assert sender.fake.exchanges == []


@both_ways
@pytest.mark.usefixtures("clock")
def test_every_answer_of_a_counted_operation_reports_its_weight(sender: Sender) -> None:
    answers = [sender.send(), sender.send(tail="")]
    for status in (302, 400, 401, 403, 418, 429, 500, 520):
        sender.fake.fail_next(status)
        answers.append(sender.send())
    assert [used(answer) for answer in answers] == list(range(1, len(answers) + 1))


def test_a_client_recovers_when_its_limit_does(fake_binance: FakeBinance) -> None:
    fake_binance.weight_limit = WEIGHT
    transport = fake_binance.transport()
    with SmallLiabilityClient(**fake_binance.credentials, transport=transport) as client:
        # The second and the third call each wait for the next minute.
        assert [client.list_coins() for _ in range(3)] == [fake_binance.coins] * 3
        fake_binance.advance(60)
        client.list_coins()
    assert [r.status for r in fake_binance.requests] == [200, 429, 200, 429, 200, 200]


def test_advance_moves_the_clients_clock_too_within_no_waiting() -> None:
    fake = FakeBinance()
    fake.weight_limit = WEIGHT
    with no_waiting(), SmallLiabilityClient(**once(fake)) as client:
        for _ in range(3):
            assert client.list_coins() == fake.coins
            fake.advance(61)
    assert fake.clock_skew == 0


def test_advance_moves_only_the_fakes_clock_without_no_waiting() -> None:
    fake = FakeBinance()
    with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
        fake.advance(3600.5)
        assert client.list_coins() == fake.coins
    assert fake.clock_skew == 3_600_500
    # The client was refused and requested the time.
    assert [(r.path.rpartition("/")[2], r.status) for r in fake.requests] == [
        ("exchange-small-liability", 400),
        ("time", 200),
        ("exchange-small-liability", 200),
    ]
