"""The transport over aiohttp has the properties of the other transports."""

import importlib
import sys
from typing import Any

import pytest
from binance_small_liability import AsyncSmallLiabilityClient, ConfigurationError
from binance_small_liability.aiohttp import AiohttpTransport
from binance_small_liability.testing import FakeBinance
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.clients import run_aiohttp
from tests.conftest import CREDENTIALS, ETH, listing
from tests.wire import response, serving


def test_what_is_signed_is_what_is_sent() -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    fake = FakeBinance(public_key=public)
    keys = {**fake.credentials, "api_secret": None, "private_key": pem}
    with fake.serve() as url:
        # Often enough for a signature with a slash, which aiohttp would decode.
        assert listing(run_aiohttp)(calls=20, base_url=url, **keys) == fake.coins


def test_connections_are_kept_and_cookies_are_not() -> None:
    with serving(response(headers={"Set-Cookie": "a=b"})) as server:
        assert listing(run_aiohttp)(calls=2, base_url=server.url) == [ETH]
    first, second = server.requests
    assert first.connection == second.connection
    assert second.header("Cookie") is None


def test_without_aiohttp_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, AiohttpTransport.__module__)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ImportError, match=r'pip install "binance-small-liability\[aiohttp\]"'):
        importlib.import_module(AiohttpTransport.__module__)


def test_the_proxy_of_a_transport_never_sees_it_either() -> None:
    transport = AiohttpTransport(proxy="http://user:hunter2@10.0.0.1:3128")
    AsyncSmallLiabilityClient(**CREDENTIALS, transport=transport)
    with pytest.raises(ConfigurationError, match="transport has a proxy that would read") as caught:
        AsyncSmallLiabilityClient(
            **CREDENTIALS, base_url="http://localhost:4010", transport=transport
        )
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy",
    ["socks5://u:hunter2@h:1", "http://hunter2:99999", "http://u:hunter2@h\n", "hunter2", 1, b"x"],
)
def test_a_proxy_that_aiohttp_cannot_use(proxy: Any) -> None:
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        AiohttpTransport(proxy=proxy)
    assert "hunter2" not in str(caught.value)
