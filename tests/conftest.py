import os
import signal
import ssl
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from binance_small_liability import Coin, aiohttp
from binance_small_liability._io import network, real_time
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.clients import (
    API_KEY,
    API_SECRET,
    CLIENTS,
    CREDENTIALS,
    RunClient,
    finished,
    run_scenario,
)
from tests.wire import WireServer, named_after_its_question, serving
from tools.operations import LIST_COINS
from tools.prism import prism

__all__ = ["API_KEY", "API_SECRET", "CREDENTIALS"]

ETH: Coin = LIST_COINS.documented[0]

# Background jobs ignore Ctrl-C and, under nohup, SIGHUP. So would the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ListCoins: TypeAlias = Callable[..., list[Coin]]


# The slowest files run first, so that no process still runs one when the others have finished.
# Files that mostly wait alternate with files that mostly compute.
_FIRST = (
    "client/test_faults.py",
    "tools/test_adopt_page.py",
    "client/test_redis.py",
    "tools/test_check_spec.py",
    "project/test_docs.py",
    "client/test_secrecy.py",
    "contract/test_schemathesis.py",
    "fake/test_script.py",
    "client/test_connections.py",
    "project/test_packaging.py",
    "contract/test_contract.py",
    "client/test_exchange_outcomes.py",
    "client/test_exchange_cuts.py",
    "project/test_guides.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More workers than processors, because tests often wait."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@contextmanager
def running(*command: str | Path, **options: Any) -> "Iterator[subprocess.Popen[Any]]":
    """A process that ends with the block, even after an error."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="session")
def prism_url() -> Iterator[str]:
    """The base URL of a real Prism process that serves openapi.yaml."""
    with prism() as url:
        yield url


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Clients skip their waits."""
    with real_time.skipping():
        yield


@pytest.fixture
def server() -> Iterator[WireServer]:
    """A server whose coins show to which question they belong."""
    with serving(named_after_its_question) as server:
        yield server


@pytest.fixture
def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A TLS context for a server that the clients trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    # Other tests keep the authorities that they have loaded.
    authorities = cache(network.tls.__wrapped__)
    for module in (network, aiohttp):
        monkeypatch.setattr(module, "tls", authorities)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> RunClient:
    """Runs a call with a client of each kind."""
    return CLIENTS[request.param]


@pytest.fixture
def one_client(request: pytest.FixtureRequest) -> RunClient:
    """Runs a call with one client, for tests of what all share. Each test always has the same."""
    number = zlib.crc32(request.node.name.encode()) % len(CLIENTS)
    return list(CLIENTS.values())[number]


def listing(client: RunClient) -> ListCoins:
    """Makes calls with a client of one kind, configured by keywords; returns the last result."""

    def list_coins(calls: int = 1, **options: Any) -> Any:
        async def scenario(opened: Any) -> Any:
            return [await finished(opened.list_coins()) for _ in range(calls)][-1]

        return run_scenario(client, scenario, **options)

    return list_coins


@pytest.fixture(params=["sync", "async"])
def list_coins(request: pytest.FixtureRequest) -> ListCoins:
    """Makes calls with a client of either kind, configured by keywords."""
    return listing(CLIENTS[request.param])
