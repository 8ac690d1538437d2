"""`client.call` makes any read of the contract, and refuses everything else before it sends."""

import re
from typing import Any

import attrs
import pytest
from binance_small_liability import (
    AuthenticationError,
    ConfigurationError,
    ContractError,
    SmallLiabilityClient,
    operations,
)
from binance_small_liability.testing import FakeBinance

from tests.clients import API_KEY, CREDENTIALS, RunClient
from tests.wire import response, serving
from tools.operations import READS, SERVER_TIME, Operation, samples

# No operation of today's contract has only a key.
KEY_ONLY: Any = attrs.evolve(operations.list_coins, signed=False, parameters={})


@pytest.mark.parametrize("read", [*READS, SERVER_TIME], ids=str)
def test_every_read_can_be_called(client: RunClient, read: Operation) -> None:
    generated = read.generated
    with serving(response(read.body)) as server:
        result = client(lambda c: c.call(generated, **samples(generated)), base_url=server.url)
    assert result == generated.read(read.example, set())
    [request] = server.requests
    assert (request.method, request.path) == (read.method, read.path)
    assert ("signature" in dict(request.query)) == generated.signed
    assert (request.header("X-MBX-APIKEY") is not None) == generated.has_key


def test_a_key_alone_is_sent_without_timestamp_and_signature(client: RunClient) -> None:
    with serving(response()) as server:
        client(lambda c: c.call(KEY_ONLY), base_url=server.url)
    [request] = server.requests
    assert request.target == KEY_ONLY.path
    assert request.header("X-MBX-APIKEY") == API_KEY


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (operations.exchange, "operation must be a read; exchange is a POST"),
        ("list_coins", "operation must be one of binance_small_liability.operations"),
        (None, "operation must be one of binance_small_liability.operations"),
    ],
)
@pytest.mark.parametrize("parameters", [{}, {"nonsense": 1}])
def test_what_is_not_a_read_is_refused_first(
    client: RunClient, operation: Any, problem: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(problem)}"):
        client(lambda c: c.call(operation, **parameters))


@pytest.mark.parametrize(
    ("positional", "parameters", "problem"),
    [
        ((1,), {}, "parameters must be given by name"),
        ((), {"current": 1}, "size is missing; list_exchanges needs it"),
        ((), {"current": 1, "size": 10, "sizes": 1}, "sizes is not a parameter of list_exchanges"),
        ((), {"current": 0, "size": 10}, "current must be a whole number from 1 to"),
        ((), {"current": "1", "size": 10}, "current must be a whole number"),
        ((), {"current": 1, "size": 10, "start_time": 0}, "start_time must be an aware datetime"),
        ((), {"current": 1, "size": 10, "recv_window": 0}, "recv_window must be a whole number"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_sent(
    client: RunClient, positional: tuple[Any, ...], parameters: dict[str, Any], problem: str
) -> None:
    with serving(response()) as server:
        with pytest.raises(ConfigurationError, match=f"^{re.escape(problem)}"):
            client(
                lambda c: c.call(operations.list_exchanges, *positional, **parameters),
                base_url=server.url,
            )
        assert server.requests == []


@pytest.mark.usefixtures("no_waiting")
def test_limits_retries_clock_and_errors_are_as_usual() -> None:
    fake = FakeBinance()
    fake.clock_skew = 3_600_000
    fake.fail_next(503)
    with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
        page = client.call(operations.list_exchanges, current=1, size=10)
        assert (page.total, page.rows) == (0, [])
        statuses = [request.status for request in fake.requests]
        # A retry after the failure, and one after the clock was corrected.
        assert statuses == [503, 400, 200, 200] or statuses == [400, 200, 503, 200]
        fake.malform_next(b"[]")
        with pytest.raises(ContractError, match=r"at \$: expected an object, got an array"):
            client.call(operations.list_exchanges, current=1, size=10)
    with (
        SmallLiabilityClient(**CREDENTIALS, transport=fake.transport()) as stranger,
        pytest.raises(AuthenticationError),
    ):
        stranger.call(operations.list_coins)
