"""Libraries that instrument, record or replace the network work and receive no secret."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpcore
import httpx
import pytest
import respx
import vcr
from binance_small_liability import OutcomeUnknownError
from binance_small_liability.aiohttp import AiohttpTransport
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.clients import API_KEY, CLIENTS, RunClient, run_async, run_sync
from tests.conftest import ETH
from tests.processes import python
from tests.wire import DOCUMENTED, WireServer, response, serving
from tools.contract import LIST_PATH, ROOT
from tools.operations import SIGNED, Operation

OVER_HTTPX = pytest.mark.parametrize("run", [run_sync, run_async])


def _assert_clean(server: WireServer, seen: str) -> None:
    assert server.requests
    for request in server.requests:
        signature = dict(request.query)["signature"]
        assert request.header("X-MBX-APIKEY") == API_KEY
        assert signature not in seen
        assert API_KEY not in seen


@pytest.fixture
def spans() -> Iterator[Callable[[], str]]:
    """Everything that OpenTelemetry recorded."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentors = (HTTPXClientInstrumentor(), AioHttpClientInstrumentor())
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    yield lambda: "\n".join(span.to_json() for span in exporter.get_finished_spans())
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


@pytest.mark.parametrize("through_a_proxy", [False, True])
@pytest.mark.parametrize("operation", SIGNED, ids=str)
def test_opentelemetry(
    client: RunClient, spans: Callable[[], str], operation: Operation, through_a_proxy: bool
) -> None:
    with serving(response(operation.body)) as server:
        url = {"base_url": server.url}
        if through_a_proxy:
            url = {"base_url": "http://localhost:9", "proxy": server.url}
        client(operation.call, **url)
    assert operation.path in spans()
    _assert_clean(server, spans())


_WITH_SENTRY = """
import sys
import warnings
import sentry_sdk
from sentry_sdk.integrations import aiohttp, httpx
from tests.clients import CLIENTS
events = []
def keep(event, _):
    events.append(repr(event))
warnings.simplefilter("ignore")
sentry_sdk.init(
    dsn="https://key@sentry.invalid/1", before_send=keep, before_send_transaction=keep,
    traces_sample_rate=1.0, send_default_pii=True, max_request_body_size="always",
    # To look for all other libraries takes a second.
    auto_enabling_integrations=False,
    integrations=[aiohttp.AioHttpIntegration(), httpx.HttpxIntegration()],
)
url = sys.argv[1]
for kind, run in CLIENTS.items():
    for options in ({"base_url": url}, {"base_url": "http://localhost:9", "proxy": url}):
        with sentry_sdk.start_transaction(name="test"):
            run(lambda client: client.list_coins(), **options)
            sentry_sdk.capture_message(f"{kind} {sorted(options)}")
sentry_sdk.get_client().close()
print(*events)
"""


def test_sentry() -> None:
    # In its own process, because Sentry patches libraries permanently.
    with serving(response()) as server:
        printed = python(_WITH_SENTRY, server.url, cwd=ROOT)
    for kind in CLIENTS:
        for options in (["base_url"], ["base_url", "proxy"]):
            assert f"{kind} {options}" in printed, "no event was kept, so nothing was searched"
    assert len(server.requests) == 2 * len(CLIENTS)
    _assert_clean(server, printed)


def test_the_trace_hooks_of_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def keep(*details: Any) -> None:
        seen.append(
            repr([vars(detail) if hasattr(detail, "__dict__") else detail for detail in details])
        )
        params = details[-1]
        for name in ("url", "headers", "response"):
            thing = getattr(params, name, None)
            seen.append(repr(thing))
            if isinstance(thing, aiohttp.ClientResponse):
                seen.append(f"{thing.url} {thing.request_info}")

    trace = aiohttp.TraceConfig()
    for signal in ("request_start", "request_headers_sent", "request_chunk_sent", "request_end"):
        getattr(trace, f"on_{signal}").append(keep)
    trace.freeze()
    create = aiohttp.ClientSession

    monkeypatch.setattr(aiohttp, "ClientSession", lambda **o: create(trace_configs=[trace], **o))
    with serving(response()) as server:
        run_async(lambda c: c.list_coins(), base_url=server.url, transport=AiohttpTransport())
    assert len(seen) > 3
    _assert_clean(server, "\n".join(seen))


@OVER_HTTPX
def test_respx_matches_by_path_and_query(run: RunClient) -> None:
    with respx.mock(base_url="https://api.binance.com", assert_all_called=False) as mock:
        route = mock.get(LIST_PATH, params={"recvWindow": "5000"}).respond(content=DOCUMENTED)
        assert run(lambda c: c.list_coins()) == [ETH]
        other = mock.get(LIST_PATH, params={"recvWindow": "7"}).respond(400, json={"code": -1100})
        assert run(lambda c: c.list_coins()) == [ETH]
    assert route.call_count == 2
    assert not other.called
    assert "signature" not in str(route.calls[0].request.url)


@OVER_HTTPX
def test_pytest_httpx_matches_by_path_and_query(run: RunClient, httpx_mock: Any) -> None:
    import re

    httpx_mock.add_response(
        url=re.compile(rf"https://api\.binance\.com{LIST_PATH}\?recvWindow=5000&timestamp=\d+$"),
        content=DOCUMENTED,
    )
    assert run(lambda c: c.list_coins()) == [ETH]
    [request] = httpx_mock.get_requests()
    assert "X-MBX-APIKEY" not in request.headers


@OVER_HTTPX
def test_vcrpy_records_and_replays(run: RunClient, tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"
    recorder = vcr.VCR(match_on=["method", "path"])
    with serving(response()) as server:
        with recorder.use_cassette(str(cassette)):
            assert run(lambda c: c.list_coins(), base_url=server.url) == [ETH]
        _assert_clean(server, cassette.read_text("utf-8"))
    with recorder.use_cassette(str(cassette), record_mode="none"):
        assert run(lambda c: c.list_coins(), base_url=server.url) == [ETH]


@OVER_HTTPX
def test_a_library_that_replaces_the_pool_of_httpcore(
    run: RunClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As vcrpy did before version 9.4.
    def respond(*_: Any) -> httpcore.Response:
        return httpcore.Response(200, content=DOCUMENTED)

    async def respond_async(*_: Any) -> httpcore.Response:
        return respond()

    monkeypatch.setattr(httpcore.ConnectionPool, "handle_request", respond)
    monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", respond_async)
    assert run(lambda c: c.list_coins()) == [ETH]


@pytest.mark.usefixtures("no_waiting")
def test_a_mock_that_raises_leaves_an_exchange_unknown(
    client: RunClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Any] = []

    async def lose_answer(*arguments: Any, **_: Any) -> None:  # as aioresponses does
        requests.append(arguments)
        raise aiohttp.ServerDisconnectedError

    monkeypatch.setattr(aiohttp.ClientSession, "_request", lose_answer)
    with respx.mock(base_url="https://api.binance.com", assert_all_called=False) as mock:
        route = mock.post(LIST_PATH).mock(side_effect=httpx.ReadTimeout)
        with pytest.raises(OutcomeUnknownError):
            client(lambda c: c.exchange(["BTC"]))
    assert len(requests) + route.call_count == 1
