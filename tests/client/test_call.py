"""`client.call` makes any read of the contract."""

import enum
from typing import Any

import pytest
from binance_small_liability import ConfigurationError, operations
from binance_small_liability_api.operation import Parameter, operation
from binance_small_liability_api.values import text

from tests.clients import API_KEY, RunClient, pandas
from tests.conftest import ETH
from tests.signing import assert_signed
from tests.wire import response, serving
from tools.operations import LIST_EXCHANGES, SERVER_TIME


class Symbol(str, enum.Enum):  # noqa: UP042 - the text of a StrEnum is its value
    A = "币 A"


class Window(int, enum.Enum):
    SHORT = 9


def _read(**facts: Any) -> Any:
    def newer(**_: Any) -> None:
        """A read whose answer is a text."""

    usual: dict[str, Any] = {"weight": 1, "limiter": "IP", "weight_per_minute": None}
    usual |= {"weight_header": None, "record": None, "method": "GET", "path": "/newer"}
    return operation(read=text(), **usual | facts)(newer)


def test_a_read_with_key_and_signature(client: RunClient) -> None:
    with serving(response()) as server:
        assert client(lambda c: c.call(operations.list_coins), base_url=server.url) == [ETH]
        # None counts as missing, and the client's own option is used.
        call = lambda c: c.call(operations.list_coins, recv_window=None)  # noqa: E731
        client(call, base_url=server.url, recv_window=777)
        call = lambda c: c.call(operations.list_coins, recv_window=Window.SHORT)  # noqa: E731
        client(call, base_url=server.url, recv_window=777)
    usual = str(operations.list_coins.parameters["recv_window"].default)
    sent = [dict(request.query)["recvWindow"] for request in server.requests]
    assert sent == [usual, "777", "9"]
    for request in server.requests:
        assert_signed(request)


@pytest.mark.parametrize("has_key", [True, False])
def test_a_read_without_signature(client: RunClient, has_key: bool) -> None:
    parameters = {"symbol": Parameter(name="symbolName", kind="string", required=True)}
    read = _read(has_key=has_key, signed=False, parameters=parameters)
    with serving(response(b'"x"')) as server:
        assert client(lambda c: c.call(read, symbol=Symbol.A), base_url=server.url) == "x"
    [request] = server.requests
    assert request.target == "/newer?symbolName=%E5%B8%81%20A"
    assert request.header("X-MBX-APIKEY") == (API_KEY if has_key else None)


def test_a_page_and_a_time(client: RunClient) -> None:
    call = lambda c: c.call(operations.list_exchanges, current=1, size=10)  # noqa: E731
    with serving(response(LIST_EXCHANGES.body)) as server:
        assert client(call, base_url=server.url).rows == LIST_EXCHANGES.documented
    with serving(response(SERVER_TIME.body)) as server:
        time = client(lambda c: c.call(operations.server_time), base_url=server.url)
    assert (time, server.requests[0].query) == (SERVER_TIME.documented, [("", "")])


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda c: c.call("list_coins"), "operation must be one of binance_small_liability.op"),
        (lambda c: c.call(operations.exchange), "operation must be a read; exchange is a POST"),
        # Before its parameters are checked.
        (lambda c: c.call(operations.exchange, x=1), "operation must be a read; exchange is a P"),
        (lambda c: c.call(operations.list_coins, 5), "parameters must be given by name"),
        (
            lambda c: c.call(operations.list_coins, x=1),
            "x is not a parameter of list_coins, which has: recv_window",
        ),
        (lambda c: c.call(operations.list_coins, recv_window=0), "recv_window must be a whole n"),
        (
            lambda c: c.call(operations.list_exchanges, current=1, size=1, end_time=pandas().NaT),
            "end_time must be an aware datetime",
        ),
        (lambda c: c.call(operations.list_exchanges, current=1), "size is missing; list_exchange"),
    ],
)
def test_wrong_calls_send_nothing(client: RunClient, call: Any, problem: str) -> None:
    with serving(response()) as server, pytest.raises(ConfigurationError) as caught:
        client(call, base_url=server.url)
    assert str(caught.value).startswith(problem)
    assert server.requests == []
