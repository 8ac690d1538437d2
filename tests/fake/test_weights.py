"""Request weights, refusals and bans."""

import sys
from typing import Any

import pytest
from binance_small_liability import IpBanError, RateLimitError, SmallLiabilityClient
from binance_small_liability.testing import FakeBinance, no_waiting

from tests.fake.conftest import StoppedClock
from tests.fake.sending import IP_WEIGHT, UID_WEIGHT, Sender, verdict


def test_the_weight_of_a_minute(sender: Sender, clock: StoppedClock) -> None:
    for call in range(1, 121):
        assert sender.send().headers[IP_WEIGHT] == str(call * 100)
    clock.advance(59)
    limited = sender.send()
    assert verdict(limited) == (429, -1003)
    assert limited.headers["Retry-After"] == "1"
    assert limited.headers[IP_WEIGHT] == "12100"
    # Another operation, even of the same path, has its own budget.
    assert sender.exchange("ETH").headers[UID_WEIGHT] == "3000"
    clock.advance(1)
    assert sender.send().headers[IP_WEIGHT] == "100"


def test_an_account_has_budgets_of_its_own(sender: Sender, clock: StoppedClock) -> None:
    statuses = [sender.exchange("UNKNOWN").status_code for _ in range(60)]
    assert statuses == [400] * 60
    clock.advance(20)
    limited = sender.exchange("UNKNOWN")
    assert verdict(limited) == (429, -1003)
    assert limited.headers["Retry-After"] == "40"
    assert limited.headers[UID_WEIGHT] == "183000"
    # It concerns only this operation.
    history = sender.history()
    assert verdict(history) == (200, None)
    assert history.headers[UID_WEIGHT] == "100"
    assert sender.send().headers[IP_WEIGHT] == "100"


@pytest.mark.usefixtures("clock")
def test_another_key_is_another_account_at_the_same_address(sender: Sender) -> None:
    other = {"X-MBX-APIKEY": "x" * 64}
    assert sender.history().headers[UID_WEIGHT] == "100"
    assert sender.history(headers=other).headers[UID_WEIGHT] == "100"
    assert sender.history(headers={}).headers[UID_WEIGHT] == "100"
    assert sender.history().headers[UID_WEIGHT] == "200"
    assert sender.send().headers[IP_WEIGHT] == "100"
    assert sender.send(headers=other).headers[IP_WEIGHT] == "200"


@pytest.mark.usefixtures("clock")
def test_a_chosen_limit(sender: Sender) -> None:
    sender.fake.weight_limit = 100
    assert [sender.send().status_code for _ in range(2)] == [200, 429]
    assert sender.exchange("ETH").status_code == 429
    # The server time has no budget of its own, so no weight is counted.
    assert [sender.time().status_code for _ in range(101)] == [200] * 101
    sender.fake.weight_limit = sys.maxsize
    # One more than Binance's limit allows.
    assert [sender.send().status_code for _ in range(121)] == [200] * 121


def test_a_chosen_minute(sender: Sender, clock: StoppedClock) -> None:
    sender.fake.weight_limit = 100
    sender.fake.minute = 0.5
    assert [sender.send().status_code for _ in range(2)] == [200, 429]
    clock.advance(0.5)
    assert sender.send().status_code == 200


@pytest.mark.parametrize("by_account", [False, True])
def test_bans_grow_and_concern_everything(
    sender: Sender, clock: StoppedClock, by_account: bool
) -> None:
    def send() -> int:
        return (sender.history() if by_account else sender.send()).status_code

    sender.fake.weight_limit = 100
    lengths = []
    for _ in range(13):
        assert [send() for _ in range(3)] == [200, 429, 418]
        clock.advance(1)
        banned = sender.send()
        assert verdict(banned) == (418, -1003)
        assert {sender.exchange("ETH").status_code, sender.history().status_code} == {418}
        assert sender.time().status_code == 418
        lengths.append(int(banned.headers["Retry-After"]) + 1)
        clock.advance(lengths[-1] - 2)
        assert send() == 418
        # The ban ends with its last second, and so does the minute that began it.
        clock.advance(1)
        assert send() == 200
        clock.advance(60)
    assert lengths == [min(120 * 2**n, 259_200) for n in range(13)]
    assert sender.fake.exchanges == []


@pytest.mark.usefixtures("clock")
def test_what_is_refused_counts_until_the_ban(sender: Sender) -> None:
    sender.fake.weight_limit = 100
    answers = [sender.send() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 418, 418]
    assert [answer.headers[IP_WEIGHT] for answer in answers] == ["100", "200", "300", "300"]


@pytest.mark.usefixtures("clock")
def test_every_answer_of_a_counted_operation_reports_its_weight(sender: Sender) -> None:
    answers = [sender.send(), sender.send(tail="")]
    for status in (302, 400, 401, 403, 418, 429, 500, 520):
        sender.fake.fail_next(status)
        answers.append(sender.send())
    assert [answer.headers[IP_WEIGHT] for answer in answers] == [
        str(100 * n) for n in range(1, len(answers) + 1)
    ]
    assert not any(UID_WEIGHT in answer.headers for answer in answers)


@pytest.mark.usefixtures("clock")
def test_clients_receive_the_used_weight() -> None:
    fake = FakeBinance()
    fake.weight_limit = 100
    once: dict[str, Any] = {"transport": fake.transport(), "max_attempts": 1}
    with SmallLiabilityClient(**fake.credentials, **once) as client:
        client.list_coins()
    with (
        SmallLiabilityClient(**fake.credentials, **once) as client,
        pytest.raises(RateLimitError) as caught,
    ):
        client.list_coins()
    assert caught.value.used_weight == 200
    assert caught.value.retry_after == 60
    with (
        SmallLiabilityClient(**fake.credentials, **once) as client,
        pytest.raises(IpBanError) as banned,
    ):
        client.list_coins()
    assert banned.value.retry_after == 120


def test_a_client_recovers_when_its_ban_ends(clock: StoppedClock) -> None:
    fake = FakeBinance()
    fake.weight_limit = 100
    once: dict[str, Any] = {"transport": fake.transport(), "max_attempts": 1}
    for error in (None, RateLimitError, IpBanError):
        with SmallLiabilityClient(**fake.credentials, **once) as client:
            if error is None:
                client.list_coins()
            else:
                with pytest.raises(error):
                    client.list_coins()
    clock.advance(121)
    with SmallLiabilityClient(**fake.credentials, **once) as client:
        assert client.list_coins() == fake.coins


def test_a_client_recovers_when_its_limit_does(fake_binance: FakeBinance) -> None:
    fake_binance.weight_limit = 100
    transport = fake_binance.transport()
    with SmallLiabilityClient(**fake_binance.credentials, transport=transport) as client:
        # The second and the third call each wait for the next minute.
        assert [client.list_coins() for _ in range(3)] == [fake_binance.coins] * 3
        fake_binance.advance(60)
        client.list_coins()
    assert [r.status for r in fake_binance.requests] == [200, 429, 200, 429, 200, 200]


def test_advance_moves_the_clients_clock_too_within_no_waiting() -> None:
    fake = FakeBinance()
    fake.weight_limit = 100
    once: dict[str, Any] = {"transport": fake.transport(), "max_attempts": 1}
    with no_waiting(), SmallLiabilityClient(**fake.credentials, **once) as client:
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
