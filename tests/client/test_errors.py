"""Failures become errors of this package with a sufficient message."""

import copy
import json
import pickle
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    ApiError,
    ConfigurationError,
    FirewallError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeout,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability import _errors as errors
from binance_small_liability._call import call

from tests.clients import RunClient
from tests.conftest import CREDENTIALS, ListCoins
from tests.errors import NAMED, TREE, refusal_class
from tests.wire import DOCUMENTED, Answer, closed, reset, response, serving, stalled
from tools.operations import LIST_COINS

WEIGHT_HEADER = str(LIST_COINS.generated.weight_header)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    def descendants(cls: type) -> list[str]:
        subclasses: list[type] = cls.__subclasses__()
        children = [child for child in subclasses if child.__module__ == errors.__name__]
        return [name for child in children for name in [child.__name__, *descendants(child)]]

    assert [match["name"] for match in TREE] == descendants(SmallLiabilityError)


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
        b'{"code": 1e3}',
        b"\xff",
        b'{"code": NaN}',
    ],
)
def test_a_refusal_without_a_usable_body(list_coins: ListCoins, body: bytes) -> None:
    refusal = response(body, 403, {WEIGHT_HEADER: "many", "Retry-After": "soon"})
    with serving(refusal) as server, pytest.raises(FirewallError) as caught:
        list_coins(base_url=server.url)
    error = caught.value
    assert (error.code, error.msg, error.used_weight, error.retry_after) == (None, "", None, None)


@pytest.mark.parametrize(
    ("answer", "kind", "options"),
    [
        (reset(), NetworkError, {}),
        # httpx reports this one as an error that is not a transport's.
        (response(b"x", headers={"Content-Encoding": "gzip"}), NetworkError, {}),
        (stalled(), RequestTimeout, {"timeout": 0.05}),
    ],
)
def test_the_cause_is_an_error_of_httpx(
    list_coins: ListCoins, answer: Answer, kind: type[NetworkError], options: dict[str, Any]
) -> None:
    with serving(lambda _: answer) as server, pytest.raises(NetworkError) as caught:
        list_coins(base_url=server.url, max_attempts=1, **options)
    assert type(caught.value) is kind
    is_timeout = isinstance(caught.value.__cause__, httpx.TimeoutException)
    assert isinstance(caught.value.__cause__, httpx.TransportError)
    assert is_timeout == (kind is RequestTimeout)
    assert "No usable answer from 127.0.0.1" in str(caught.value)


def test_errors_can_be_pickled_and_copied() -> None:
    error = RateLimitError(
        status_code=429,
        code=-1003,
        msg="Too much.",
        headers=httpx.Headers({"Retry-After": "7"}),
        retry_after=7.0,
        used_weight=300,
    )
    error.attempts = 3
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(twin) is RateLimitError
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
    configuration = pickle.loads(pickle.dumps(ConfigurationError("proxy", "is odd")))  # noqa: S301
    assert str(configuration) == "proxy is odd"
    assert configuration.option == "proxy"


def test_a_closed_client_refuses_calls() -> None:
    client = SmallLiabilityClient(**CREDENTIALS)
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.list_coins()


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
    assert caught.value.message.startswith("No usable answer from api.binance.com: ")
    assert words in caught.value.message


def test_a_refusal_counts_although_its_body_is_truncated(list_coins: ListCoins) -> None:
    head = b"HTTP/1.1 400 Bad\r\nContent-Length: 500\r\n\r\n"
    with (
        serving(lambda _: closed(head + b'{"code":-1100,"msg":"Ill')) as server,
        pytest.raises(ApiError) as caught,
    ):
        list_coins(base_url=server.url)
    assert (caught.value.status_code, caught.value.code) == (400, -1100)
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [reset(), response(b"", 503)])
def test_the_cause_of_an_unknown_outcome_is_complete(client: RunClient, answer: Answer) -> None:
    with serving(lambda _: answer) as server, pytest.raises(OutcomeUnknownError) as caught:
        client(lambda c: c.exchange(["BTC"]), base_url=server.url)
    cause = caught.value.__cause__
    assert isinstance(cause, SmallLiabilityError)
    assert cause.attempts == 1
    if isinstance(cause, NetworkError):
        assert isinstance(cause.__cause__, httpx.TransportError)


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
