"""The client against every documented answer of the endpoint.

Each is given by a real Prism process, by the fake exchange, and by Prism behind the fake.
"""

import re
import ssl
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    ApiError,
    AuthenticationError,
    ClockSkewError,
    Coin,
    FirewallError,
    IpBanError,
    RateLimitError,
    ServerError,
    _config,
    _records,
)
from binance_small_liability.testing import FakeBinance

from tests.conftest import API_KEY, API_SECRET, ListCoins
from tools.contract import LIST_PATH, Example, examples, load

# The statuses that the contract groups, by some that really occur, one of them unknown to IANA.
_GROUPS = {"5XX": [500, 503, 520]}
_BY_STATUS = {
    400: ApiError,
    401: AuthenticationError,
    403: FirewallError,
    418: IpBanError,
    429: RateLimitError,
    500: ServerError,
    503: ServerError,
    520: ServerError,
}
_USED_WEIGHT = "X-SAPI-USED-IP-WEIGHT-1M"
# To load the authorities for each connection would take longer than all the rest.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_BY_CODE = {-1021: ClockSkewError, -1022: AuthenticationError, -1002: AuthenticationError}


class Preferring(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Tells Prism, perhaps through the fake, which answer to give, and keeps the answers."""

    def __init__(self, status: int, example: Example) -> None:
        self.headers = {
            "Prefer": f"code={status}, example={example.name}",
            "Accept": example.media_type,
        }
        self.responses: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._prefer(request)
        # A connection of its own for each request, which ends with it.
        with httpx.HTTPTransport(verify=_NO_TLS) as transport:
            response = transport.handle_request(request)
            response.read()
        self.responses.append(response)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._prefer(request)
        async with httpx.AsyncHTTPTransport(verify=_NO_TLS) as transport:
            response = await transport.handle_async_request(request)
            await response.aread()
        self.responses.append(response)
        return response

    def _prefer(self, request: httpx.Request) -> None:
        if request.url.path == LIST_PATH:
            request.headers.update(self.headers)


def _documented() -> list[Any]:
    return [
        pytest.param(status, example, id=f"{status}-{example.name}")
        for example in examples(load())
        for status in _GROUPS.get(example.status) or [int(example.status)]
    ]


class Exchange:
    """A server that can be asked for an example of the contract."""

    def __init__(self, url: str, fake: FakeBinance | None = None) -> None:
        self.url = url
        self._fake = fake

    def prefer(self, status: int, example: Example) -> Preferring:
        """The transport with which the client will get `example`."""
        if self._fake is not None and status == 200:
            self._fake.coins = [_coin(item) for item in example.value]
            self._fake.quote_quantity = example.name == "decimalString"
        elif self._fake is not None:
            # Twice, since after a -1021 the client corrects its clock and tries once more.
            self._fake.fail_next(status, example=example.name, times=2)
        return Preferring(status, example)


@pytest.fixture(params=["prism", "fake", "fake-prism"])
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    credentials = {"api_key": API_KEY, "api_secret": API_SECRET}
    if request.param == "prism":
        yield Exchange(request.getfixturevalue("prism_url"))
    elif request.param == "fake":
        fake = FakeBinance(**credentials)
        with fake.serve() as url:
            yield Exchange(url, fake)
    else:
        with FakeBinance(
            **credentials, upstream=request.getfixturevalue("prism_url")
        ).serve() as url:
            yield Exchange(url)


@pytest.mark.parametrize(("status", "example"), _documented())
def test_every_documented_answer(
    list_coins: ListCoins, exchange: Exchange, status: int, example: Example
) -> None:
    transport = exchange.prefer(status, example)

    def call() -> list[Coin]:
        return list_coins(base_url=exchange.url, transport=transport, max_attempts=1)

    if status == 200:
        assert call() == [_coin(item) for item in example.value]
    else:
        with pytest.raises(ApiError) as caught:
            call()
        _assert_tells(caught.value, status, example)
        told = transport.responses[-1].headers.get(_USED_WEIGHT)
        assert caught.value.used_weight == (int(told) if told else None)
    for response in transport.responses:
        assert "sl-violations" not in response.headers, response.headers["sl-violations"]


def _coin(item: dict[str, Any]) -> Coin:
    """Read by the contract alone, so that a new field needs no line here."""
    schema = load()["components"]["schemas"]["SmallLiabilityCoin"]["properties"]
    values: dict[str, Any] = {}
    for wire_name, value in item.items():
        name = re.sub("([A-Z])", r"_\1", wire_name).lower()
        values[name] = Decimal(value) if "DecimalString" in str(schema[wire_name]) else value
    return Coin(**values)


def _assert_tells(error: ApiError, status: int, example: Example) -> None:
    body = example.value if isinstance(example.value, dict) else {}
    code = body.get("code")
    by_code = _BY_CODE.get(code or 0, _BY_STATUS[status])
    assert type(error) is (_BY_STATUS[status] if status >= 500 else by_code)
    assert error.status_code == status
    assert error.code == code
    assert error.msg == body.get("msg", "")
    assert error.retry_after == example.headers.get("Retry-After")
    assert error.headers.get("Retry-After") == (
        str(example.headers["Retry-After"]) if "Retry-After" in example.headers else None
    )


def test_every_documented_status_has_an_example() -> None:
    statuses = set(load()["paths"][LIST_PATH]["get"]["responses"])
    assert {example.status for example in examples(load())} == {str(status) for status in statuses}


def test_the_client_has_the_bounds_of_the_contract() -> None:
    components = load()["components"]
    recv_window = components["parameters"]["RecvWindow"]["schema"]
    assert (
        recv_window["default"],
        recv_window["maximum"],
    ) == (_config.RECV_WINDOW, _config.MAX_RECV_WINDOW)
    assert load()["servers"][0]["url"] == _config.BASE_URL
    time = components["schemas"]["ServerTime"]["properties"]["serverTime"]
    assert (time["minimum"], time["maximum"]) == (_records.EARLIEST_TIME, _records.LATEST_TIME)
