"""Scripted answers, delays and failures of the fake."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from binance_small_liability import (
    ApiError,
    AuthenticationError,
    ContractError,
    IpBanError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeout,
    ServerError,
    SmallLiabilityError,
)
from binance_small_liability._io import real_time
from binance_small_liability.testing import FakeBinance, no_waiting

from tests.clients import CLIENTS, RunClient
from tests.conftest import ListCoins, listing
from tests.fake.conftest import both_ways
from tests.fake.sending import SIGNED, Sender, used, verdict
from tools.operations import EXCHANGE, LIST_COINS, OPERATIONS, SERVER_TIME, Operation

Play: TypeAlias = Callable[[FakeBinance], None]


@pytest.mark.parametrize(
    ("play", "error", "shown"),
    [
        (lambda fake: fake.fail_next(503), ServerError, "-1000"),
        (lambda fake: fake.fail_next(520, code=-1016), ServerError, "HTTP 520, code -1016"),
        (lambda fake: fake.fail_next(429), RateLimitError, "Retry after 7 s"),
        (lambda fake: fake.fail_next(429, retry_after=3), RateLimitError, "Retry after 3 s"),
        (lambda fake: fake.fail_next(429, retry_after=0), RateLimitError, "Retry after 0 s"),
        (lambda fake: fake.fail_next(403, code=-2015), AuthenticationError, "code -2015"),
        (lambda fake: fake.fail_next(418), IpBanError, "Retry after 120 s"),
        (lambda fake: fake.fail_next(400, code=-3003), ApiError, "no margin account"),
        (lambda fake: fake.fail_next(400, code=-4242), ApiError, "code -4242"),
        (lambda fake: fake.fail_next(302), SmallLiabilityError, "302"),
        (lambda fake: fake.fail_next(302, code=-5), ApiError, "code -5"),
        (lambda fake: fake.malform_next(), ContractError, "not JSON"),
        (lambda fake: fake.malform_next(b"{}"), ContractError, "an array"),
        (lambda fake: fake.drop_next(), NetworkError, "RemoteProtocolError"),
        (lambda fake: fake.delay_next(2), RequestTimeout, "Timeout"),
    ],
)
@pytest.mark.parametrize(("kind", "on_socket"), [("sync", False), ("async", False), ("sync", True)])
def test_every_kind_of_step(
    kind: str, on_socket: bool, play: Play, error: type[Exception], shown: str
) -> None:
    fake, list_coins = FakeBinance(), listing(CLIENTS[kind])
    play(fake)
    with fake.serve() as url:
        where = {"base_url": url} if on_socket else {"transport": fake.transport()}
        call: dict[str, Any] = {**fake.credentials, **where, "max_attempts": 1}
        with pytest.raises(error) as caught:
            list_coins(**call, timeout=0.5 if error is RequestTimeout else 10)
        assert shown in str(caught.value)
        # The script has ended.
        assert list_coins(**call) == fake.coins
    assert len(fake.requests) == 2


def test_steps_apply_to_any_signed_operation_in_order(sender: Sender) -> None:
    fake = sender.fake
    fake.fail_next(500, times=2)
    fake.fail_next(400, code=-1021, example="timestampAhead")
    statuses = [sender.time().status_code]
    # A refused request does not use a step.
    statuses += [sender.send(tail=tail).status_code for tail in ("", SIGNED)]
    statuses += [sender.exchange("ETH").status_code, sender.history().status_code]
    assert statuses == [200, 400, 500, 500, 400]
    assert [send().status_code for send in (sender.send, sender.history)] == [200, 200]
    assert fake.exchanges == []


@pytest.mark.parametrize("operation", [*OPERATIONS, SERVER_TIME], ids=lambda each: each.name)
def test_steps_of_a_named_operation(sender: Sender, operation: Operation) -> None:
    sender.fake.fail_next(503, operation=operation.name)
    statuses = {each: sender.documented(each).status_code for each in (*OPERATIONS, SERVER_TIME)}
    assert [each for each, status in statuses.items() if status == 503] == [operation]


def test_undocumented_errors() -> None:
    fake = FakeBinance()
    with pytest.raises(ValueError, match="contract has no response"):
        fake.fail_next(400, example="unheard")
    with pytest.raises(ValueError, match="contract has no operation 'list'"):
        fake.fail_next(400, operation="list")
    for play in (fake.malform_next, fake.drop_next):
        with pytest.raises(ValueError, match="no operation"):
            play(operation="list")
    with pytest.raises(ValueError, match="no operation"):
        fake.delay_next(1, operation="list")
    for status, code in (("503", None), (503, "-1003")):
        with pytest.raises(TypeError, match="status and code must be whole numbers"):
            fake.fail_next(status, code=code)  # type: ignore[arg-type]  # the mistake
    for coins in (["ETH"], "ETH", tuple(fake.coins)):
        with pytest.raises(TypeError, match="coins must be a list of Coin records"):
            fake.coins = coins  # type: ignore[assignment]  # the mistake
    assert fake._steps == []


@both_ways
def test_chosen_headers(sender: Sender) -> None:
    header = str(LIST_COINS.generated.weight_header)
    sender.fake.fail_next(429, headers={"retry-after": None, header: None})
    bare = sender.send()
    assert "Retry-After" not in bare.headers
    assert used(bare) is None
    sender.fake.fail_next(429, retry_after="soon", headers={header: "7"})
    answer = sender.send()
    assert answer.headers["Retry-After"] == "soon"
    assert answer.headers.get_list(header) == ["7"]


# Before or after an exchange takes effect

# Seconds. A slow machine needs much time between them to see that the client gave up first.
_GIVES_UP, _LATE = 0.15, 0.9
STEPS: dict[str, Callable[..., None]] = {
    "fail": lambda fake, **options: fake.fail_next(503, **options),
    "drop": lambda fake, **options: fake.drop_next(**options),
    "delay": lambda fake, **options: fake.delay_next(_LATE, **options),
}


def _wait_for_the_server() -> None:
    """Waits until the fake has noticed that clients closed their connections."""
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            while thread.ident is None:  # it is listed a moment before it has started
                time.sleep(0.001)
            thread.join()


@pytest.mark.parametrize(
    ("client", "on_socket"),
    [("sync", False), ("sync", True), ("async", False), ("aiohttp", True)],
    indirect=["client"],
)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_step_applies_before_or_after_the_effect(
    client: RunClient, on_socket: bool, step: str, after_effect: bool
) -> None:
    fake = FakeBinance()
    STEPS[step](fake, after_effect=after_effect)
    with fake.serve() as url:
        where = {"base_url": url} if on_socket else {"transport": fake.transport()}
        timeout = _GIVES_UP if step == "delay" else 10
        with pytest.raises(OutcomeUnknownError):
            client(EXCHANGE.call, **fake.credentials, **where, timeout=timeout)
        _wait_for_the_server()
    assert [each.asset for each in fake.exchanges] == (["ETH"] if after_effect else [])
    assert [each.asset for each in fake.coins] == ([] if after_effect else ["ETH"])
    assert [each.status for each in fake.requests] == [503 if step == "fail" else None]


@both_ways
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_delay_that_the_client_waits_for(sender: Sender, after_effect: bool) -> None:
    sender.fake.delay_next(0.05, after_effect=after_effect)
    assert verdict(sender.exchange("ETH")) == (200, None)
    assert len(sender.fake.exchanges) == 1


@both_ways
@pytest.mark.parametrize(
    ("body", "options", "exchanges"),
    [(b"[", {}, 1), (b'{"code":-3000,"msg":""}', {"after_effect": False}, 0)],
)
def test_a_malformed_success_is_a_success_unless_it_is_an_error(
    sender: Sender, body: bytes, options: dict[str, Any], exchanges: int
) -> None:
    sender.fake.malform_next(body, **options)
    answer = sender.exchange("ETH")
    assert (answer.status_code, answer.content) == (200, body)
    assert len(sender.fake.exchanges) == exchanges


def test_without_an_effect_no_step_applies_after_it(sender: Sender) -> None:
    sender.fake.fail_next(500, after_effect=True, operation="exchange")
    assert verdict(sender.exchange("UNKNOWN")) == (400, -3027)
    assert verdict(sender.exchange("ETH")) == (500, -1000)
    assert len(sender.fake.exchanges) == 1


def test_a_request_uses_one_step(sender: Sender) -> None:
    sender.fake.delay_next(0)
    sender.fake.fail_next(503, after_effect=True)
    assert sender.exchange("ETH").status_code == 200
    assert sender.history().status_code == 503
    # Steps keep their order, whenever they apply.
    sender.fake.fail_next(503, after_effect=True)
    sender.fake.fail_next(500)
    assert [sender.send().status_code for _ in range(3)] == [503, 500, 200]


# Time


def test_a_delay_that_is_not_too_long(list_coins: ListCoins) -> None:
    fake = FakeBinance()
    fake.delay_next(3, times=2)
    with no_waiting():
        before, really_before = real_time.monotonic(), time.monotonic()
        assert list_coins(calls=2, **fake.credentials, transport=fake.transport()) == fake.coins
        skipped = (real_time.monotonic() - before) - (time.monotonic() - really_before)
    assert round(skipped) == 6
