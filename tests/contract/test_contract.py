"""The client against every documented answer of every operation.

Each comes from a real Prism process, from the fake, and from Prism behind the fake.
"""

import json
import ssl
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    ApiError,
    OutcomeUnknownError,
    Receipt,
    ServerError,
    SmallLiabilityError,
    _config,
)
from binance_small_liability.testing import FakeBinance

from tests.clients import CREDENTIALS, RunClient, run_async, run_sync
from tests.errors import refusal_class
from tools import guides, operations
from tools.contract import Example, definition_of, examples, load, today
from tools.operations import LIST_COINS, LIST_EXCHANGES, OPERATIONS, Operation

# Real statuses for each group of the contract, one of them not in IANA's registry. The examples of
# a group take turns.
_GROUPS = {"5XX": cycle([500, 503, 520])}
# Loading the authorities takes 20 ms per connection.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Preferring(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Requests an answer from Prism, directly or through the fake, and keeps it."""

    def __init__(self, operation: Operation, status: int, example: Example) -> None:
        self._operation = operation
        self._headers = {
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
            request.headers.update(self._headers)


def _documented() -> Iterator[Any]:
    for operation in OPERATIONS:
        for example in examples(today(), operation.method, operation.path):
            group = _GROUPS.get(example.status)
            status = next(group) if group else int(example.status)
            name = f"{operation.name}-{status}-{example.name}"
            yield pytest.param(operation, status, example, id=name)


_DOCUMENTED = list(_documented())


def _expected(operation: Operation, example: Example) -> Any:
    """What the caller must receive; tests/contract/test_generated.py tests the readers."""
    return operation.returned(operation.generated.read(example.value, set()))


def _prepare(fake: FakeBinance, operation: Operation, status: int, example: Example) -> None:
    """Makes the fake give an example."""
    if status != 200:
        # Twice, because after a -1021 the client corrects its clock and repeats the request.
        fake.fail_next(status, example=example.name, times=2, operation=operation.name)
        return
    if operation.state:
        assert hasattr(fake, operation.state)
        setattr(fake, operation.state, _expected(operation, example))
    fake.quote_quantity = example.name == "decimalString"
    fake.exchange_body = json.dumps(example.value, default=float).encode()


def _call(operation: Operation, example: Example) -> Callable[[Any], Any]:
    if operation is LIST_EXCHANGES and example.status == "200" and example.value["rows"]:
        times = [exchange.time for exchange in _expected(operation, example)]
        return lambda client: client.list_exchanges(min(times), max(times))
    return operation.call


@pytest.mark.parametrize(("operation", "status", "example"), _DOCUMENTED)
def test_every_documented_answer(
    operation: Operation, status: int, example: Example, prism_url: str
) -> None:
    """The asynchronous client reads it from Prism, the synchronous one from the fake."""
    _assert_answer(run_async, prism_url, operation, status, example)
    fake = FakeBinance(**CREDENTIALS)
    _prepare(fake, operation, status, example)
    with fake.serve() as url:
        _assert_answer(run_sync, url, operation, status, example)


# Only signed requests reach an upstream.
_FIRST_OF_EACH_STATUS = {
    param.values[:2]: param for param in reversed(_DOCUMENTED) if param.values[0].generated.signed
}


@pytest.mark.parametrize(("operation", "status", "example"), _FIRST_OF_EACH_STATUS.values())
def test_the_fake_passes_the_answers_of_prism_on(
    operation: Operation, status: int, example: Example, prism_url: str
) -> None:
    with FakeBinance(**CREDENTIALS, upstream=prism_url).serve() as url:
        _assert_answer(run_sync, url, operation, status, example)


def _assert_answer(
    run: RunClient, url: str, operation: Operation, status: int, example: Example
) -> None:
    transport = Preferring(operation, status, example)
    options: dict[str, Any] = {"base_url": url, "transport": transport, "max_attempts": 1}
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


def _assert_reports(
    error: BaseException | None, operation: Operation, status: int, example: Example
) -> None:
    if not operation.repeatable and status >= 500:
        assert type(error) is OutcomeUnknownError
        assert isinstance(error.__cause__, ServerError)
        error = error.__cause__
    assert isinstance(error, ApiError)
    body = example.value if isinstance(example.value, dict) else {}
    code = body.get("code")
    assert type(error) is refusal_class(status, code)
    assert (error.status_code, error.code, error.msg) == (status, code, body.get("msg", ""))
    assert error.retry_after == example.headers.get("Retry-After")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_documented_status_has_an_example(operation: Operation) -> None:
    definition = definition_of(today(), operation.method, operation.path)
    found = {example.status for example in examples(today(), operation.method, operation.path)}
    assert found == {str(status) for status in definition["responses"]}


def test_the_client_calls_the_first_server_of_the_contract() -> None:
    assert today()["servers"][0]["url"] == _config.BASE_URL


def _answer(contract: Any) -> Any:
    return contract["paths"][LIST_COINS.path]["get"]["responses"]["200"]


def _coin(contract: Any) -> Any:
    return _answer(contract)["content"]["application/json"]["examples"]["documented"]["value"][0]


@pytest.mark.parametrize(
    ("mistake", "advice"),
    [
        (lambda c: _coin(c).pop("asset"), "200 example documented: $[0].asset: missing; correct"),
        (lambda c: _coin(c).update(x=1), "200 example documented: not in the schema: x; correct"),
        (
            lambda c: _answer(c)["content"]["application/json"].pop("examples"),
            "200: add `examples`",
        ),
        (
            lambda c: c["components"]["headers"]["RetryAfterBan"].pop("example"),
            "418 header Retry-After: add an `example`",
        ),
    ],
)
def test_a_mistake_in_the_examples_is_named_by_make_generate(
    mistake: Callable[[Any], object], advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = load()
    mistake(contract)
    monkeypatch.setattr(operations, "today", lambda: contract)
    assert f"openapi.yaml: GET {LIST_COINS.path} {advice}" in str(guides.main())
