"""Configuration is checked before anything is sent, and errors name the remedy."""

import asyncio
import copy
import inspect
import pickle
import sys
from pathlib import Path
from traceback import TracebackException
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    ConfigurationError,
    SmallLiabilityClient,
)
from binance_small_liability._client import Options
from binance_small_liability._config import VARIABLES
from binance_small_liability._io import network

from tests.conftest import API_KEY, API_SECRET, CREDENTIALS
from tests.wire import response, serving

Client = type[SmallLiabilityClient] | type[AsyncSmallLiabilityClient]

RIGHT: dict[str, str | None] = {"BINANCE_API_KEY": API_KEY, "BINANCE_API_SECRET": API_SECRET}

pytestmark = pytest.mark.parametrize("client", [SmallLiabilityClient, AsyncSmallLiabilityClient])


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("api_key", None, "is missing"),
        ("api_key", "", "is blank"),
        ("api_key", " \n", "is blank"),
        ("api_key", "key\n", "line break"),
        ("api_key", "k\r\nHost: evil", "line break"),
        ("api_key", "ключ", "outside ASCII"),
        ("api_key", b"key", "must be a string"),
        ("api_secret", None, "is missing"),
        ("api_secret", "", "is blank"),
        ("api_secret", "secret ", "space"),
        ("recv_window", 0, "from 1 to 60000"),
        ("recv_window", 60_001, "from 1 to 60000"),
        ("recv_window", 5000.0, "whole number"),
        ("recv_window", "5000", "whole number"),
        ("recv_window", True, "whole number"),
        ("timeout", 0, "above 0"),
        ("timeout", -1, "above 0"),
        ("timeout", float("nan"), "above 0"),
        ("timeout", float("inf"), "above 0"),
        ("timeout", None, "above 0"),
        ("max_attempts", 0, "1 or more"),
        ("max_attempts", 1.5, "whole number"),
        ("max_attempts", True, "whole number"),
        ("max_retry_wait", -1, "0 or more"),
        ("max_retry_wait", float("inf"), "0 or more"),
        ("base_url", "", "must begin with https://"),
        ("base_url", None, "is not a URL"),
        ("base_url", httpx.URL("https://api.binance.com"), "is not a URL"),
        ("base_url", "https://api.binance.com:99999", "is not a URL"),
        ("base_url", "https://api.binance.com:-1", "is not a URL"),
        ("base_url", "https://xn--a.com", "is not a URL"),
        ("base_url", "https://api.binance.com/\ud800", "control character"),
        ("timeout", 10**400, "at most 259200"),
        ("max_retry_wait", 1e10, "at most 259200"),
        ("on_retry", 1, "plain function"),
        ("on_retry", asyncio.sleep, "plain function"),
        ("base_url", "api.binance.com", "must begin with https://"),
        ("base_url", "ftp://api.binance.com", "must begin with https://"),
        ("base_url", "https://", "name a host"),
        ("base_url", "https://host:port", "is not a URL"),
        ("base_url", "https://user:hunter2@api.binance.com", "user name"),
        ("base_url", "https://api.binance.com?x=1", "query"),
        ("base_url", "https://api.binance.com/#x", "fragment"),
        ("base_url", "http://api.binance.com", "must use https://"),
        ("base_url", "http://127.0.0.1.evil.example", "must use https://"),
        ("base_url", "http://10.0.0.1", "must use https://"),
        ("proxy", "gopher://proxy", "is not a proxy"),
        ("proxy", 3128, "is not a proxy"),
        ("proxy", "http://proxy:99999", "is not a proxy"),
        ("proxy", httpx.Proxy("http://proxy:-1"), "is not a proxy"),
        ("proxy", "http://proxy%20", "is not a proxy"),
        ("api_key", '"hunter2"', "is in quotes"),
        ("api_secret", "'hunter2", "is in quotes"),
        ("api_key", "<your-api-key>", "is a placeholder"),
        ("api_key", "YOUR_API_KEY", "is a placeholder"),
        ("api_key", "yourApiKey", "is a placeholder"),
        ("api_key", "BINANCE_API_KEY", "is a placeholder"),
        ("api_secret", "${BINANCE_API_SECRET}", "is a placeholder"),
        ("api_secret", "$SECRET", "is a placeholder"),
        ("api_secret", "%SECRET%", "is a placeholder"),
        ("api_secret", "{{ secret }}", "is a placeholder"),
        ("api_secret", "[secret]", "is a placeholder"),
        ("api_secret", "xxxxxxxx", "is a placeholder"),
        ("api_secret", "********", "is a placeholder"),
        ("api_secret", "abc...", "is a placeholder"),
        ("api_secret", "secret-goes-here", "is a placeholder"),
        ("api_secret", "changeme", "is a placeholder"),
        ("base_url", "https://api.binance.com ", "holds a space"),
        ("base_url", "https://api.binance.com\n", "control character"),
        ("base_url", "https://api.binance.com/a b", "holds a space"),
        ("base_url", "https://api.binance.com%20", "is not a URL"),
        ("base_url", "https://<host>", "is not a URL"),
        ("base_url", "https://a..b", "is not a URL"),
        ("base_url", f"https://{'a' * 64}.example", "is not a URL"),
        ("base_url", f"https://{'a.' * 127}example", "is not a URL"),
        ("base_url", "https://api.binance.com/".ljust(8_001, "a"), "more than 8000 characters"),
        ("proxy", "http://a..example", "is not a proxy"),
        ("api_key", "`hunter2`", "is in quotes"),
        ("api_secret", "hunter2`", "is in quotes"),
        *(("api_secret", f"hunter2{sign}x", "no key contains") for sign in "`;,|&<(\\@:?$'\""),
    ],
)
def test_wrong_configuration(client: Client, option: str, value: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        client(**CREDENTIALS | {option: value})
    assert isinstance(caught.value, ValueError)
    assert caught.value.option == option
    assert str(caught.value).startswith(option)
    assert caught.value.attempts == 0
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "token",
    [
        # Random ones, and valid ones that look like placeholders.
        API_KEY,
        API_SECRET,
        "your".ljust(64, "Y"),
        "x" * 64,
        "changeme".ljust(64, "0"),
        "placeholder".rjust(64, "0"),
        # Keys of tests.
        "key",
        "k",
        "test-api-key",
        "s=ecret",
        "from-the-file",
        "base64/+==",
    ],
)
def test_real_keys_and_those_of_tests_are_accepted(client: Client, token: str) -> None:
    client(api_key=token, api_secret=token)


def test_a_transport_of_the_wrong_kind_is_refused(client: Client) -> None:
    wanted = {
        SmallLiabilityClient: "an httpx.BaseTransport",
        AsyncSmallLiabilityClient: "an httpx.AsyncBaseTransport or an AiohttpTransport",
    }
    with pytest.raises(ConfigurationError) as caught:
        client(**CREDENTIALS, transport=object())
    assert str(caught.value) == f"transport must be {wanted[client]}"


def test_a_proxy_and_a_transport_exclude_each_other(client: Client) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with pytest.raises(ConfigurationError, match="cannot be combined"):
        client(**CREDENTIALS, proxy="http://localhost:3128", transport=transport)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost:4010",
        "http://127.0.0.1",
        "http://[::1]:80",
        "https://proxy.example/binance",
        "https://api_1.example.",
        f"https://{'a' * 63}.example",
        "https://[2001:db8::1]:8443",
    ],
)
def test_right_base_urls(client: Client, base_url: str) -> None:
    assert base_url in repr(client(**CREDENTIALS, base_url=base_url))


def test_a_recv_window_per_call_is_checked_too(client: Client) -> None:
    ours = client(**CREDENTIALS)
    with pytest.raises(ConfigurationError, match="recv_window must be"):
        _list_coins(ours, recv_window=0)


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("BINANCE_API_KEY", None, "is missing"),
        ("BINANCE_API_KEY", "key\n", "line break"),
        ("BINANCE_API_SECRET", None, "is missing"),
        ("BINANCE_API_SECRET", " ", "is blank"),
        ("BINANCE_BASE_URL", "http://api.binance.com", "must use https://"),
        ("BINANCE_API_SECRET", '"secret"', "is in quotes"),
        ("BINANCE_API_KEY", "`key`", "is in quotes"),
        ("BINANCE_API_KEY", "key;", "no key contains"),
        ("BINANCE_BASE_URL", '"https://api.binance.com"', "is in quotes"),
        ("BINANCE_BASE_URL", "https://api.binance.com ", "holds a space"),
        ("BINANCE_PROXY", "'http://localhost:3128'", "is in quotes"),
        ("BINANCE_PROXY", "localhost:3128", "is not a proxy"),
        ("BINANCE_PRIVATE_KEY_FILE", '"/key.pem"', "is in quotes"),
    ],
)
def test_a_wrong_environment_names_the_variable(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
    problem: str,
) -> None:
    _set_environment(monkeypatch, {variable: value})
    with pytest.raises(ConfigurationError, match=problem) as caught:
        client.from_env()
    assert str(caught.value).startswith(variable)


def _set_environment(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None]) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    for variable, value in (RIGHT | changes).items():
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)


def test_a_client_from_the_environment(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _set_environment(monkeypatch, {})
    assert "https://api.binance.com" in repr(client.from_env())
    empty: dict[str, str | None] = dict.fromkeys(VARIABLES.values(), "")
    _set_environment(monkeypatch, empty | RIGHT)
    assert "https://api.binance.com" in repr(client.from_env())
    _set_environment(monkeypatch, {"BINANCE_BASE_URL": "http://localhost:4010"})
    assert "http://localhost:4010" in repr(client.from_env())
    assert "http://[::1]" in repr(client.from_env(base_url="http://[::1]", timeout=1))


def test_from_env_takes_no_secret(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _set_environment(monkeypatch, {})
    options: dict[str, Any] = {"api_secret": "hunter2"}
    with pytest.raises(ConfigurationError, match="set BINANCE_API_SECRET") as caught:
        client.from_env(**options)
    trace = TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in trace.stack if "wrapper" in frame.filename]
    assert frames
    assert "hunter2" not in str([frame.locals for frame in frames])
    typo: dict[str, Any] = {"timeot": 3}
    with pytest.raises(ConfigurationError, match=r"timeot is not an option of from_env$"):
        client.from_env(**typo)


def test_from_env_calls_the_constructor_of_a_subclass(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ours(client):  # type: ignore[misc, valid-type]  # it is one of two classes
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.options = options

    _set_environment(monkeypatch, {"BINANCE_BASE_URL": "http://localhost:4010"})
    ours = Ours.from_env(timeout=1)
    assert ours.options.keys() == {"api_key", "api_secret", "base_url", "timeout"}
    assert API_SECRET not in repr(ours.options)


@pytest.mark.parametrize("given", [{}, {"proxy": "http://user:hunter2@localhost:1"}])
def test_a_constructor_that_fails_shows_no_secret(
    client: Client, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    class Ours(client):  # type: ignore[misc, valid-type]  # it is one of two classes
        def __init__(self, **options: Any) -> None:
            super().__init__(**options, timeout=0)

    _set_environment(monkeypatch, {"BINANCE_PROXY": "http://user:hunter2@localhost:1"})
    with pytest.raises(ConfigurationError) as caught:
        Ours.from_env(**given)
    trace = TracebackException.from_exception(caught.value, capture_locals=True)
    del trace.stack[0]  # this one
    shown = "".join(trace.format())
    for secret in ("hunter2", API_KEY, API_SECRET):
        assert secret not in shown


def test_a_client_is_neither_pickled_nor_copied(client: Client) -> None:
    for twin in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="make another one"):
            twin(client(**CREDENTIALS))


def test_from_env_takes_what_the_constructor_takes(client: Client) -> None:
    secrets = {"self", "api_key", "api_secret", "private_key", "private_key_password"}
    options = set(inspect.signature(client.__init__).parameters) - secrets
    assert options == set(Options.__annotations__)


def _list_coins(client: SmallLiabilityClient | AsyncSmallLiabilityClient, **options: int) -> None:
    if isinstance(client, SmallLiabilityClient):
        with client:
            client.list_coins(**options)
        return

    async def call() -> None:
        async with client:
            await client.list_coins(**options)

    asyncio.run(call())


@pytest.mark.parametrize("proxy", ["http://proxy:3128", "http://user:hunter2@10.0.0.1:3128"])
def test_a_proxy_never_sees_the_key_in_clear_text(client: Client, proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="would read the API key") as caught:
        client(**CREDENTIALS, base_url="http://localhost:4010", proxy=proxy)
    assert "hunter2" not in str(caught.value)


def test_a_transport_replaces_the_proxy_of_the_environment(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_environment(monkeypatch, {"BINANCE_PROXY": "http://localhost:1"})
    client.from_env(transport=httpx.MockTransport(lambda _: httpx.Response(200)))


@pytest.mark.parametrize(
    ("variable", "content", "problem"),
    [
        ("SSL_CERT_FILE", None, "No such file"),
        ("SSL_CERT_FILE", "folder", "Is a directory"),
        ("SSL_CERT_FILE", "not a certificate", "holds no certificates"),
        ("SSL_CERT_DIR", None, "is not a folder"),
    ],
)
def test_wrong_authorities(
    client: Client,
    tmp_path: Path,
    variable: str,
    content: str | None,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "authorities"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv(variable, str(path))
    # Authorities are loaded once for a process.
    network.tls.cache_clear()
    with pytest.raises(ConfigurationError, match=problem) as caught:
        client(**CREDENTIALS)
    network.tls.cache_clear()
    assert caught.value.option == variable
    assert caught.value.problem.startswith(f"names {path}, which ")


def test_without_socksio_a_socks_proxy_needs_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError) as caught:
        client(proxy="socks5://u:hunter2@h:1", **CREDENTIALS)
    assert str(caught.value) == "proxy needs another package: pip install 'httpx[socks]'"


def test_proxies_of_the_environment_are_not_used(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(response([])) as server, serving(response([])) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        ours = client(**CREDENTIALS, base_url=server.url)
        _list_coins(ours)
    assert len(server.requests) == 1
    assert not proxy.requests
