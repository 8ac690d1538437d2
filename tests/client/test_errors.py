"""Failures become errors of this package with a sufficient message."""

import asyncio
import contextlib
import copy
import json
import pickle
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    ApiError,
    ConfigurationError,
    ContractError,
    FirewallError,
    NetworkError,
    OutcomeUnknownError,
    Receipt,
    RequestTimeout,
    ServerError,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability import _errors as errors
from binance_small_liability._call import call

from tests.clients import RunClient, finished, run_scenario
from tests.conftest import ListCoins
from tests.errors import NAMED, TREE, refusal_class
from tests.wire import DOCUMENTED, response, serving
from tools.operations import LIST_COINS

WEIGHT_HEADER = str(LIST_COINS.generated.weight_header)


def _descendants(cls: type[Any] = SmallLiabilityError) -> list[type[Any]]:
    children = [each for each in cls.__subclasses__() if each.__module__ == errors.__name__]
    return [kind for child in children for kind in [child, *_descendants(child)]]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert [match["name"] for match in TREE] == [kind.__name__ for kind in _descendants()]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((400, number) if number < 0 else (number, -1) for number in NAMED),
        (400, -9999),
        (401, -9999),
        (404, -1),
        (500, -1021),
        (530, -1),
        (418, -1021),
        (429, -2015),
        (200, -1000),
        (200, -2015),
    ],
)
def test_refusals(list_coins: ListCoins, status: int, code: int) -> None:
    headers = {WEIGHT_HEADER.title(): "300", "Server": "caf\xe9"}
    refusal = response({"code": code, "msg": "No."}, status, headers)
    with serving(refusal) as server, pytest.raises(ApiError) as caught:
        list_coins(base_url=server.url, max_attempts=1)
    error = caught.value
    assert type(error) is refusal_class(status, code)
    assert (error.status_code, error.code, error.msg) == (status, code, "No.")
    assert error.used_weight == 300
    assert error.headers[WEIGHT_HEADER.lower()] == "300"
    assert error.headers["server"] == "caf\xe9"
    assert error.attempts == 1
    advice = f" {error.advice}" if error.advice else ""
    assert str(error).startswith(f"HTTP {status}, code {code}: No.{advice}")
    assert "attempt" not in str(error)


def test_a_refusal_without_a_usable_body(list_coins: ListCoins) -> None:
    headers = {WEIGHT_HEADER: "many", "Retry-After": "soon"}
    objects = [b'{"code": "x", "msg": 3}', b'{"code": true}', b'{"code": 1.5}', b'{"code": NaN}']
    for body in (b"", b"<html>no</html>", b"[]", b"null", b"\xff", *objects):
        refusal = response(body, 403, headers)
        with serving(refusal) as server, pytest.raises(FirewallError) as caught:
            list_coins(base_url=server.url)
        error = caught.value
        assert (error.code, error.msg, error.used_weight) == (None, "", None)
        assert error.retry_after is None


HEADERS = httpx.Headers({"Retry-After": "7"})
RECEIPT = Receipt(["BTC"], datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
OTHERS: list[SmallLiabilityError] = [
    *(kind("Something.") for kind in (NetworkError, RequestTimeout, ContractError)),
    SmallLiabilityError("Something."),
    ConfigurationError("proxy", "is odd"),
    OutcomeUnknownError(RECEIPT),
]
REFUSALS: list[type[Any]] = [kind for kind in _descendants() if issubclass(kind, ApiError)]
EVERY_ERROR = [*OTHERS, *(kind(429, -1003, "Too much.", HEADERS, 7.0, 300) for kind in REFUSALS)]


@pytest.mark.parametrize(
    ("error", "attempts", "text"),
    [
        (ServerError(503), 3, "HTTP 503. Binance failed. 3 attempts were made."),
        (ServerError(503, None, "Busy"), 1, "HTTP 503: Busy. Binance failed."),
        (ServerError(503), 1, "HTTP 503. Binance failed."),
        (ApiError(400, -1, "Why?"), 1, "HTTP 400, code -1: Why?"),
        (NetworkError("It broke"), 2, "It broke. 2 attempts were made."),
        (ApiError(400, retry_after=53.127), 1, "HTTP 400. Retry after 54 s."),
        (ApiError(400, retry_after=1e99), 1, "HTTP 400. Retry after 1e+99 s."),
    ],
)
def test_a_message_consists_of_sentences(
    error: SmallLiabilityError, attempts: int, text: str
) -> None:
    error.attempts = attempts
    assert str(error) == text


def test_errors_can_be_pickled_copied_and_made_again_from_json() -> None:
    assert {type(error) for error in EVERY_ERROR} == {SmallLiabilityError, *_descendants()}
    for error in EVERY_ERROR:
        error.attempts = 3
        pickled = pickle.loads(pickle.dumps(error))  # noqa: S301 - it is our own
        for twin in (pickled, copy.copy(error)):
            assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))
        # As Celery does with results in JSON.
        remade = type(error)(*json.loads(json.dumps(error.args)))
        assert remade.message == error.message
        assert vars(remade) == {k: v for k, v in vars(error).items() if k != "attempts"}


def test_a_closed_client_refuses_calls_and_is_not_entered_again(client: RunClient) -> None:
    kept: list[Any] = []

    async def keep(opened: Any) -> None:
        assert not opened.closed
        kept.append(opened)

    async def enter(each: Any) -> None:
        with contextlib.ExitStack() as stack:
            is_sync = isinstance(each, SmallLiabilityClient)
            await (stack.enter_context(each) if is_sync else each.__aenter__())

    async def call(each: Any) -> None:
        await finished(each.list_coins())

    run_scenario(client, keep)
    for each in (kept[0], kept[0].with_options(timeout=1)):
        assert each.closed
        for use in (call, enter):
            with pytest.raises(ConfigurationError, match="closed; make a new one"):
                asyncio.run(use(each))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ReadError("broken pipe"), "ReadError: broken pipe"),
        (OSError("broken"), "OSError"),
        (TimeoutError(), "TimeoutError"),
        (UnicodeError("odd"), "UnicodeError"),
    ],
)
def test_the_message_names_the_host_and_what_a_transport_raises(
    list_coins: ListCoins, error: Exception, words: str
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(NetworkError) as caught:
        list_coins(transport=httpx.MockTransport(fail), max_attempts=1)
    assert caught.value.message.startswith("No usable response from api.binance.com: ")
    assert words in caught.value.message


def test_each_new_field_is_reported_once_and_at_most_100_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, list_coins: ListCoins
) -> None:
    monkeypatch.setattr(call, "_reported", set())
    coin = json.loads(DOCUMENTED)[0]
    first = response([{**coin, "fee": 1}])
    many = response([{**coin, **{f"new{number}": 1 for number in range(150)}}])
    with serving(first) as server:
        list_coins(calls=3, base_url=server.url)
    [record] = caplog.records
    assert vars(record)["operation"] == "list_coins"
    assert record.message.startswith("list_coins has a new field 'fee'; this version ignores it, ")
    with serving(many) as server:
        list_coins(base_url=server.url)
    assert len(set(caplog.messages)) == len(caplog.messages) == 100
