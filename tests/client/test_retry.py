"""The decisions about retries: pure functions, logs and `on_retry`."""

import logging
import random
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from binance_small_liability import (
    NetworkError,
    RateLimitError,
    RetryDetails,
    ServerError,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability._call.retry import parse_retry_after, wait_before_retry
from binance_small_liability._io import real_time
from binance_small_liability.testing import FakeBinance

from tests.clients import RunClient, in_turn
from tests.conftest import CREDENTIALS, ListCoins
from tests.wire import response, serving
from tools.contract import LIST_PATH

NOW = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "values"),
    [
        (7.0, ["7", " 7 ", "Thu, 15 Jan 2026 12:00:07 GMT", "Thu, 15 Jan 2026 13:00:07 +0100"]),
        (7.0, ["Thu, 15 Jan 2026 12:00:07 -0000", "Thursday, 15-Jan-26 12:00:07 GMT"]),
        (0.0, ["0", "Wed, 21 Oct 2015 07:28:00 GMT"]),
        (0.5, ["0.5"]),
        (259_200.0, ["259200"]),
        (None, [None, "", "1e3", "\x1f7", "X7", "1_0", "٣", "-0", "-1", "9" * 400, "1e400"]),
        (None, ["nan", "inf", "-inf", "soon", "7 seconds", "Thu, 15 Jan"]),
        (None, ["Fri, 01 Jan 100000 00:00:00 GMT", "Thu, 15 Jan 2026 99:00:07 GMT"]),
        # Of several values the largest counts.
        (100.0, ["100, 100", "7,100, 8"]),
        (9.0, ["7, Thu, 15 Jan 2026 12:00:09 GMT, 8"]),
        (7.0, ["soon, 7,"]),
        (None, [","]),
    ],
)
def test_retry_after(seconds: float | None, values: list[str | None]) -> None:
    assert [parse_retry_after(value, NOW) for value in values] == [seconds] * len(values)


# client/test_faults.py has what is retried.


@pytest.mark.parametrize(
    ("error", "attempt", "jitter", "seconds"),
    [
        *((NetworkError(), attempt, 0, min(2**attempt / 4, 8)) for attempt in range(1, 7)),
        (NetworkError(), 1, 1, 0.25),
        (NetworkError(), 10_000, 0.5, 6),
        (ServerError(status_code=500, retry_after=30), 1, 0, 0.5),
        (RateLimitError(status_code=429), 1, 0, 0.5),
        (RateLimitError(status_code=429, retry_after=0), 1, 0, 0.5),
        (RateLimitError(status_code=429, retry_after=30), 1, 1, 30),
    ],
)
def test_the_wait_before_a_retry(
    error: SmallLiabilityError, attempt: int, jitter: float, seconds: float
) -> None:
    assert wait_before_retry(error, attempt, 60, jitter) == seconds
    assert wait_before_retry(NetworkError(), 9, 2, 0) == 2


def test_on_retry_receives_each_retry(
    list_coins: ListCoins, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.5)
    limit = response({"code": -1003, "msg": ""}, 429, {"Retry-After": "7"})
    answers = iter([response({}, 503), lambda _: None, limit])
    retries: list[RetryDetails] = []

    def answer(_: Any) -> Any:
        return next(answers, response())

    caplog.set_level(logging.INFO, "binance_small_liability")
    with real_time.skipping(), serving(answer) as server:
        # A retry may wait for exactly `max_retry_wait`.
        options: dict[str, Any] = {"max_attempts": 4, "max_retry_wait": 7}
        list_coins(base_url=server.url, on_retry=retries.append, **options)
    assert retries == [
        RetryDetails("list_coins", 1, 0.375, ServerError, 503, None),
        RetryDetails("list_coins", 2, 0.75, NetworkError, None, None),
        RetryDetails("list_coins", 3, 7.0, RateLimitError, 429, -1003),
    ]
    records = [vars(each) for each in caplog.records if each.name == "binance_small_liability"]
    for record, retry in zip(records, retries, strict=True):
        name = retry.error_class.__name__
        assert record.items() >= (attrs.asdict(retry) | {"error_class": name}).items()
    wanted = "Attempt 1 failed with ServerError (HTTP 503); trying again in 0.4 s"
    assert records[0]["message"] == wanted


def test_each_request_is_logged_without_its_query(
    list_coins: ListCoins, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([response({}, 503)])
    caplog.set_level(logging.INFO, "binance_small_liability.requests")
    with real_time.skipping(), serving(lambda _: next(answers, response())) as server:
        list_coins(base_url=server.url)
    records = [vars(each) for each in caplog.records if each.name.endswith(".requests")]
    for attempt, (record, status) in enumerate(zip(records, (503, 200), strict=True), 1):
        assert record["message"] == f"GET {LIST_PATH}: HTTP {status}"
        fields = {"operation": "list_coins", "attempt": attempt, "status": status}
        assert record.items() >= fields.items()
        assert 0 < record["seconds"] == round(record["seconds"], 3) < 10


def test_other_records_of_the_log_name_their_operation(
    client: RunClient,
    caplog: pytest.LogCaptureFixture,
    fake_binance: FakeBinance,
    fake_binance_url: str,
) -> None:
    caplog.set_level(logging.INFO, "binance_small_liability")
    fake_binance.clock_skew = 90_000
    fake_binance.drop_next(operation="exchange")
    options = {**fake_binance.credentials, "base_url": fake_binance_url}
    call = in_turn(lambda c: c.list_coins(), lambda c: c.exchange(["ETH"]))
    *_, error = client(call, **options)
    client(lambda c: c.confirm(error.receipt), **options)
    others = [vars(each) for each in caplog.records if not each.name.endswith(".requests")]
    found = {(each["operation"], each.get("wait", 0) > 0, "offset" in each) for each in others}
    assert found == {("server_time", False, True), ("list_exchanges", True, False)}
    assert others[0]["message"] == f"The clock is corrected by {others[0]['offset']:+d} ms"


def test_a_hook_that_fails_does_not_fail_the_call(
    list_coins: ListCoins, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: RetryDetails) -> None:
        raise KeyError("counter")

    answers = iter([response({}, 503)])
    with real_time.skipping(), serving(lambda _: next(answers, response())) as server:
        assert list_coins(base_url=server.url, on_retry=fail)
    [record] = caplog.records
    assert (record.getMessage(), vars(record)["operation"]) == ("on_retry failed", "list_coins")


@pytest.mark.parametrize(
    ("clock", "stamps"),
    [
        ([1_000, 1_000, 1_000], [1_000, 1_001, 1_002]),
        ([1_000, 1_007], [1_000, 1_007]),
        # It was set back: a little, or by as much as a correction does.
        ([1_000, 901], [1_000, 1_001]),
        ([1_000, 900], [1_000, 900]),
    ],
)
def test_the_timestamp_of_a_retry_is_another_one(
    clock: list[int], stamps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"max_retry_wait": 0, "max_attempts": len(clock)}
    with (
        serving(response({}, 503)) as server,
        SmallLiabilityClient(base_url=server.url, **CREDENTIALS, **options) as client,
    ):
        monkeypatch.setattr(client._caller.clock, "now", lambda: clock[len(server.requests)])
        with pytest.raises(ServerError):
            client.list_coins()
    assert [int(dict(request.query)["timestamp"]) for request in server.requests] == stamps


def test_a_retry_really_waits(list_coins: ListCoins) -> None:
    answers = iter([response({}, 503)])
    retries: list[RetryDetails] = []
    with serving(lambda _: next(answers, response())) as server:
        list_coins(base_url=server.url, max_retry_wait=0.02, on_retry=retries.append)
    first, second = [int(dict(request.query)["timestamp"]) for request in server.requests]
    assert retries[0].wait == 0.02
    assert second - first >= 19
