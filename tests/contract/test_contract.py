"""The client against every documented answer of every operation.

Each comes from a real Prism process, from the fake, and from Prism behind the fake.
"""

import json
import re
import ssl
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    ApiError,
    AuthenticationError,
    ClockSkewError,
    FirewallError,
    IpBanError,
    OutcomeUnknownError,
    RateLimitError,
    Receipt,
    ServerError,
    SmallLiabilityError,
    _config,
)
from binance_small_liability.testing import FakeBinance
from binance_small_liability_api import records
from binance_small_liability_api.values import moment

from tests.clients import API_KEY, API_SECRET, RunClient, run_async, run_sync
from tools.contract import Example, answer_of, definition_of, examples, inlined, resolved, today
from tools.operations import LIST_EXCHANGES, OPERATIONS, Operation

# Real statuses for each group of the contract, one of them not in IANA's registry.
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
# Loading the authorities takes 20 ms per connection.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_BY_CODE = {-1021: ClockSkewError, -1022: AuthenticationError, -1002: AuthenticationError}


class Preferring(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Requests an answer from Prism, directly or through the fake, and keeps it."""

    def __init__(self, operation: Operation, status: int, example: Example) -> None:
        self._operation = operation
        self.headers = {
            "Prefer": f"code={status}, example={example.name}",
            "Accept": example.media_type,
        }
        self.responses: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._prefer(request)
        # Each request has its own connection, which ends with it.
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
        if request.url.path == self._operation.path:
            request.headers.update(self.headers)


def _documented() -> list[Any]:
    return [
        pytest.param(operation, status, example, id=f"{operation.name}-{status}-{example.name}")
        for operation in OPERATIONS
        for example in examples(today(), operation.method, operation.path)
        for status in _GROUPS.get(example.status) or [int(example.status)]
    ]


class Server:
    """A server that can be asked for an example of the contract."""

    def __init__(self, url: str, fake: FakeBinance | None = None) -> None:
        self.url = url
        self._fake = fake

    def prefer(self, operation: Operation, status: int, example: Example) -> Preferring:
        """The transport with which the client will get `example`."""
        if self._fake is not None and status == 200:
            self._set_account(operation, example)
        elif self._fake is not None:
            # Twice, because after a -1021 the client corrects its clock and repeats the request.
            self._fake.fail_next(status, example=example.name, times=2)
        return Preferring(operation, status, example)

    def _set_account(self, operation: Operation, example: Example) -> None:
        assert self._fake is not None
        if operation.state:
            assert hasattr(self._fake, operation.state)
            setattr(self._fake, operation.state, _expected(operation, example))
        self._fake.quote_quantity = example.name == "decimalString"
        self._fake.exchange_body = json.dumps(example.value, default=float).encode()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    credentials = {"api_key": API_KEY, "api_secret": API_SECRET}
    if request.param == "prism":
        yield Server(request.getfixturevalue("prism_url"))
    elif request.param == "fake":
        fake = FakeBinance(**credentials)
        with fake.serve() as url:
            yield Server(url, fake)
    else:
        with FakeBinance(
            **credentials, upstream=request.getfixturevalue("prism_url")
        ).serve() as url:
            yield Server(url)


# Both clients read each answer, and both servers give it; the fourth pair would show nothing new.
@pytest.mark.parametrize(
    ("server", "run"),
    [("prism", run_sync), ("prism", run_async), ("fake", run_sync)],
    indirect=["server"],
)
@pytest.mark.parametrize(("operation", "status", "example"), _documented())
def test_every_documented_answer(
    run: RunClient, server: Server, operation: Operation, status: int, example: Example
) -> None:
    _assert_answer(run, server, operation, status, example)


def _first_of_each_status() -> list[Any]:
    first = {(param.values[0], param.values[1]): param for param in reversed(_documented())}
    return list(first.values())


@pytest.mark.parametrize("server", ["fake-prism"], indirect=True)
@pytest.mark.parametrize(("operation", "status", "example"), _first_of_each_status())
def test_the_fake_passes_the_answers_of_prism_on(
    server: Server, operation: Operation, status: int, example: Example
) -> None:
    _assert_answer(run_sync, server, operation, status, example)


def _assert_answer(
    run: RunClient, server: Server, operation: Operation, status: int, example: Example
) -> None:
    transport = server.prefer(operation, status, example)
    options: dict[str, Any] = {"base_url": server.url, "transport": transport, "max_attempts": 1}
    if status == 200:
        returned = run(_call(operation, example), **options)
        if operation.repeatable:
            assert returned == _expected(operation, example)
        else:
            assert isinstance(returned, Receipt)
    else:
        with pytest.raises(SmallLiabilityError) as caught:
            run(_call(operation, example), **options)
        _assert_reports(caught.value, operation, status, example)
    for response in transport.responses:
        assert "sl-violations" not in response.headers, response.headers["sl-violations"]


def _call(operation: Operation, example: Example) -> Callable[[Any], Any]:
    if operation is LIST_EXCHANGES and example.status == "200" and example.value["rows"]:
        times = [exchange.time for exchange in _expected(operation, example)]
        return lambda client: client.list_exchanges(min(times), max(times))
    return operation.call


def _expected(operation: Operation, example: Example) -> Any:
    """What the caller must receive. Its values are derived only from the contract."""
    success = answer_of(today(), operation.method, operation.path, "200")
    schema = success["content"][example.media_type]["schema"]
    return operation.returned(_value(schema, example.value))


def _value(schema: Any, value: Any) -> Any:
    """What a value of the contract's examples becomes."""
    whole = inlined(today(), schema)
    if isinstance(value, list):
        return [_value(schema["items"], each) for each in value]
    if isinstance(value, dict):
        record = getattr(records, schema["$ref"].rpartition("/")[2])
        properties = resolved(today(), schema)["properties"]
        return record(
            **{_name(k, properties[k]): _value(properties[k], v) for k, v in value.items()}
        )
    formats = [each.get("format") for each in (whole, *whole.get("oneOf", ()))]
    if "decimal" in formats:
        return Decimal(value)
    return moment(value) if "unix-milliseconds" in formats else value


def _name(wire_name: str, schema: Any) -> str:
    snake_case = re.sub("([A-Z])", r"_\1", wire_name).lower()
    return str(schema.get("x-public-name", snake_case))


def _assert_reports(
    error: SmallLiabilityError, operation: Operation, status: int, example: Example
) -> None:
    if not operation.repeatable and status >= 500:
        assert type(error) is OutcomeUnknownError
        assert isinstance(error.__cause__, ServerError)
        error = error.__cause__
    assert isinstance(error, ApiError)
    body = example.value if isinstance(example.value, dict) else {}
    code = body.get("code")
    by_code = _BY_CODE.get(code or 0, _BY_STATUS[status])
    assert type(error) is (_BY_STATUS[status] if status >= 500 else by_code)
    assert error.status_code == status
    assert error.code == code
    assert error.msg == body.get("msg", "")
    assert error.retry_after == example.headers.get("Retry-After")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_documented_status_has_an_example(operation: Operation) -> None:
    definition = definition_of(today(), operation.method, operation.path)
    found = {example.status for example in examples(today(), operation.method, operation.path)}
    assert found == {str(status) for status in definition["responses"]}


def test_the_client_calls_the_first_server_of_the_contract() -> None:
    assert today()["servers"][0]["url"] == _config.BASE_URL
