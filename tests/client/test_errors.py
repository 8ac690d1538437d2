"""Failures become errors of this package with a sufficient message."""

import copy
import json
import pickle
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    ApiError,
    AuthenticationError,
    ClockSkewError,
    ConfigurationError,
    ContractError,
    FirewallError,
    IpBanError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    Receipt,
    RequestTimeout,
    ServerError,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability import _errors as errors
from binance_small_liability._call import call

from tests.conftest import API_KEY, API_SECRET, ListCoins
from tests.wire import DOCUMENTED, Answer, closed, reset, response, serving, stalled


def _descendants(cls: type = SmallLiabilityError) -> list[str]:
    subclasses: list[type] = cls.__subclasses__()
    children = [child for child in subclasses if child.__module__ == errors.__name__]
    return [name for child in children for name in [child.__name__, *_descendants(child)]]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    lines = errors.__doc__.splitlines()
    assert [line.split("── ")[1].split()[0] for line in lines if "── " in line] == _descendants()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, -1100, ApiError),
        (400, -1021, ClockSkewError),
        (400, -1022, AuthenticationError),
        (400, -2014, AuthenticationError),
        (401, -2015, AuthenticationError),
        (401, -9999, AuthenticationError),
        (403, -1, FirewallError),
        (404, -1, ApiError),
        (418, -1003, IpBanError),
        (429, -1003, RateLimitError),
        (500, -1021, ServerError),
        (530, -1, ServerError),
        (200, -1000, ApiError),
        (200, -2015, AuthenticationError),
    ],
)
def test_refusals(list_coins: ListCoins, status: int, code: int, kind: type[ApiError]) -> None:
    refusal = response({"code": code, "msg": "No."}, status, {"X-SAPI-Used-IP-Weight-1m": "300"})
    with serving(refusal) as server, pytest.raises(ApiError) as caught:
        list_coins(base_url=server.url, max_attempts=1)
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.code, error.msg) == (status, code, "No.")
    assert error.used_weight == 300
    assert error.headers["x-sapi-used-ip-weight-1m"] == "300"
    assert error.attempts == 1
    assert f"HTTP {status}, code {code}: No." in str(error)
    assert "(1 attempt)" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>no</html>",
        b"[]",
        b"null",
        b'{"code": "x", "msg": 3}',
        b'{"code": true}',
        b'{"code": 1.5}',
        b"\xff",
        b'{"code": NaN}',
    ],
)
def test_a_refusal_without_a_usable_body(list_coins: ListCoins, body: bytes) -> None:
    refusal = response(body, 403, {"X-SAPI-USED-IP-WEIGHT-1M": "many", "Retry-After": "soon"})
    with serving(refusal) as server, pytest.raises(FirewallError) as caught:
        list_coins(base_url=server.url)
    error = caught.value
    assert (error.code, error.msg, error.used_weight, error.retry_after) == (None, "", None, None)


@pytest.mark.parametrize(
    ("answer", "kind", "cause", "options"),
    [
        (reset(), NetworkError, httpx.TransportError, {}),
        # httpx reports this one as an error that is not a transport's.
        (
            response(b"x", headers={"Content-Encoding": "gzip"}),
            NetworkError,
            httpx.TransportError,
            {},
        ),
        (stalled(), RequestTimeout, httpx.TimeoutException, {"timeout": 0.05}),
    ],
)
def test_the_cause_is_an_error_of_httpx(
    list_coins: ListCoins,
    answer: Answer,
    kind: type[NetworkError],
    cause: type[Exception],
    options: dict[str, Any],
) -> None:
    with serving(lambda _: answer) as server, pytest.raises(NetworkError) as caught:
        list_coins(base_url=server.url, max_attempts=1, **options)
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, cause)
    assert "No usable answer from 127.0.0.1" in str(caught.value)


HEADERS = httpx.Headers({"Retry-After": "7"})
RECEIPT = Receipt(["BTC"], datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
EVERY_ERROR = [
    *(
        kind("Something.")
        for kind in (SmallLiabilityError, NetworkError, RequestTimeout, ContractError)
    ),
    ConfigurationError("proxy", "is odd"),
    OutcomeUnknownError(RECEIPT),
    *(
        kind(429, -1003, "Too much.", HEADERS, 7.0, 12_000)
        for kind in (
            *(ApiError, AuthenticationError, ClockSkewError, FirewallError, IpBanError),
            *(RateLimitError, ServerError),
        )
    ),
]


def test_every_error_is_tested() -> None:
    assert {type(error).__name__ for error in EVERY_ERROR} == set(_descendants()) | {
        "SmallLiabilityError"
    }


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_errors_can_be_pickled_copied_and_made_again_from_json(error: SmallLiabilityError) -> None:
    error.attempts = 3
    pickled = pickle.loads(pickle.dumps(error))  # noqa: S301 - it is our own
    for twin in (pickled, copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
    # As Celery does with results in JSON.
    remade = type(error)(*json.loads(json.dumps(error.args)))
    assert remade.message == error.message
    assert vars(remade) == {k: v for k, v in vars(error).items() if k != "attempts"}


def test_a_closed_client_refuses_calls() -> None:
    client = SmallLiabilityClient(api_key=API_KEY, api_secret=API_SECRET)
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.list_coins()


@pytest.mark.parametrize("error", [OSError("broken"), TimeoutError(), UnicodeError("odd")])
def test_what_a_transport_of_the_caller_raises(list_coins: ListCoins, error: Exception) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(NetworkError, match=type(error).__name__):
        list_coins(transport=httpx.MockTransport(fail), max_attempts=1)


def test_an_error_keeps_the_headers_of_its_answer(list_coins: ListCoins) -> None:
    headers = {"Server": "caf\xe9"}
    answer = response({"code": -1100, "msg": "No."}, 400, headers)
    with serving(answer) as server, pytest.raises(ApiError) as caught:
        list_coins(base_url=server.url)
    assert caught.value.headers["server"] == "caf\xe9"


def test_the_message_names_the_host_and_the_transports_error(list_coins: ListCoins) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("broken pipe")

    with pytest.raises(NetworkError) as caught:
        list_coins(transport=httpx.MockTransport(fail), max_attempts=1)
    assert caught.value.message == "No usable answer from api.binance.com: ReadError: broken pipe"


def test_a_refusal_counts_although_its_body_is_truncated(list_coins: ListCoins) -> None:
    head = b"HTTP/1.1 400 Bad\r\nContent-Length: 500\r\n\r\n"
    with (
        serving(lambda _: closed(head + b'{"code":-1100,"msg":"Ill')) as server,
        pytest.raises(ApiError) as caught,
    ):
        list_coins(base_url=server.url)
    assert (caught.value.status_code, caught.value.code) == (400, -1100)
    assert len(server.requests) == 1


def test_each_new_field_is_reported_once_and_at_most_100_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, list_coins: ListCoins
) -> None:
    monkeypatch.setattr(call, "_reported", set())
    coin = json.loads(DOCUMENTED)[0]
    first = response([{**coin, "fee": 1}])
    many = response([{**coin, **{f"new{number}": 1 for number in range(150)}}])
    with serving(first) as server:
        list_coins(calls=3, base_url=server.url)
    [line] = caplog.messages
    assert "list_coins has a new field 'fee'" in line
    with serving(many) as server:
        list_coins(base_url=server.url)
    assert len(set(caplog.messages)) == len(caplog.messages) == 100
