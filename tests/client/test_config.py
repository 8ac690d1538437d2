"""Configuration is checked before anything is sent, and errors name the remedy."""

import asyncio
import copy
import inspect
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import TracebackException
from typing import Any

import httpx
import pytest
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    ConfigurationError,
    SmallLiabilityClient,
    operations,
)
from binance_small_liability._client import Options
from binance_small_liability._config import VARIABLES
from binance_small_liability._io import network

from tests.conftest import API_KEY, API_SECRET, CREDENTIALS

Client = type[SmallLiabilityClient] | type[AsyncSmallLiabilityClient]

RIGHT: dict[str, str | None] = {"BINANCE_API_KEY": API_KEY, "BINANCE_API_SECRET": API_SECRET}

SetEnvironment = Callable[..., None]

pytestmark = pytest.mark.parametrize("client", [SmallLiabilityClient, AsyncSmallLiabilityClient])


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> SetEnvironment:
    """Sets the right credentials and other variables; None removes one."""

    def set_variables(**changes: str | None) -> None:
        for variable, value in (dict.fromkeys(VARIABLES.values()) | RIGHT | changes).items():
            if value is None:
                monkeypatch.delenv(variable, raising=False)
            else:
                monkeypatch.setenv(variable, value)

    set_variables()
    return set_variables


WINDOW = operations.list_coins.parameters["recv_window"]
TRANSPORT = httpx.MockTransport(lambda _: httpx.Response(200))
# Option, problem, and wrong values, or several options that are wrong together.
WRONG: list[tuple[str, str, list[Any]]] = [
    ("api_key", "is missing", [None]),
    ("api_key", "is blank", ["", " \n"]),
    ("api_key", "line break", ["key\n", "k\r\nHost: evil"]),
    ("api_key", "outside ASCII", ["ключ"]),
    ("api_key", "must be a string", [b"key"]),
    ("api_key", "is in quotes", ['"hunter2"', "`hunter2`"]),
    (
        "api_key",
        "is a placeholder",
        ["<your-api-key>", "YOUR_API_KEY", "yourApiKey", "BINANCE_API_KEY"],
    ),
    ("api_secret", "or private_key is missing", [None]),
    ("api_secret", "is blank", [""]),
    ("api_secret", "space", ["secret "]),
    ("api_secret", "is in quotes", ["'hunter2", "hunter2`"]),
    ("api_secret", "no key has", [f"hunter2{sign}x" for sign in "`;,|&<(\\@:?$'\""]),
    (
        "api_secret",
        "is a placeholder",
        [
            *("${BINANCE_API_SECRET}", "$SECRET", "%SECRET%", "{{ secret }}", "[secret]"),
            *("xxxxxxxx", "********", "abc...", "secret-goes-here", "changeme"),
        ],
    ),
    ("recv_window", f"from 1 to {WINDOW.maximum}", [0, (WINDOW.maximum or 0) + 1]),
    ("recv_window", "must be a whole number", [5000.0, "5000", True]),
    ("timeout", "above 0", [0, -1, float("nan"), float("inf"), None]),
    ("timeout", "at most 259200", [10**400]),
    ("max_attempts", "1 or more", [0]),
    ("max_attempts", "whole number", [1.5, True]),
    ("max_retry_wait", "0 or more", [-1, float("inf")]),
    ("max_retry_wait", "at most 259200", [1e10]),
    ("on_retry", "plain function", [1, asyncio.sleep]),
    ("on_wait", "plain function", [1, asyncio.sleep]),
    ("base_url", "must begin with https://", ["", "api.binance.com", "ftp://api.binance.com"]),
    (
        "base_url",
        "is not a URL",
        [
            *(None, httpx.URL("https://api.binance.com"), "https://host:port", "https://<host>"),
            *("https://api.binance.com:99999", "https://api.binance.com:-1", "https://xn--a.com"),
            *("https://api.binance.com%20", "https://a..b", f"https://{'a.' * 127}example"),
            f"https://{'a' * 64}.example",
        ],
    ),
    ("insecure_http", "must be True or False", [1, "1", None]),
    ("base_url", "control character", ["https://api.binance.com/\ud800", "https://h.com\n"]),
    ("base_url", "name a host", ["https://"]),
    ("base_url", "more than 8000 characters", ["https://api.binance.com/".ljust(8_001, "a")]),
    ("base_url", "user name", ["https://user:hunter2@api.binance.com"]),
    ("base_url", "query", ["https://api.binance.com?x=1"]),
    ("base_url", "fragment", ["https://api.binance.com/#x"]),
    ("base_url", "contains a space", ["https://api.binance.com ", "https://api.binance.com/a b"]),
    (
        "base_url",
        "must use https://",
        ["http://api.binance.com", "http://127.0.0.1.evil.example", "http://10.0.0.1"],
    ),
    (
        "proxy",
        "is not a proxy .* in a password as %23",
        [
            *("gopher://proxy", 3128, "http://proxy:99999", "http://proxy%20"),
            *("http://a..example", "http://u:pa#hunter2@h:1", "http://u:1#hunter2@h:1"),
            *("http://u:1/hunter2@h:1", "http://u:1?hunter2@h:1"),
            httpx.Proxy("http://proxy:-1"),
        ],
    ),
    ("proxy", "cannot be combined", [{"proxy": "http://h:1", "transport": TRANSPORT}]),
    (
        "proxy",
        "would read the API key",
        [
            {"proxy": proxy, "base_url": "http://localhost:4010"}
            for proxy in ("http://proxy:3128", "http://user:hunter2@10.0.0.1:3128")
        ],
    ),
]


@pytest.mark.parametrize(
    ("option", "problem", "value"),
    [(option, problem, value) for option, problem, values in WRONG for value in values],
)
def test_wrong_configuration(client: Client, option: str, problem: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        client(**CREDENTIALS | (value if isinstance(value, dict) else {option: value}))
    assert isinstance(caught.value, ValueError)
    assert caught.value.option == option
    assert str(caught.value).startswith(option)
    assert caught.value.attempts == 0
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "token",
    [
        # Random ones, and valid ones that look like placeholders.
        *(API_KEY, API_SECRET, "your".ljust(64, "Y"), "x" * 64),
        *("changeme".ljust(64, "0"), "placeholder".rjust(64, "0")),
        # Keys of tests.
        *("key", "k", "test-api-key", "s=ecret", "from-the-file", "base64/+=="),
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


@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost:4010",
        "http://127.0.0.1",
        "http://[::1]:80",
        "https://proxy.example/x",
        "https://api_1.example.",
        f"https://{'a' * 63}.example",
        "https://[2001:db8::1]:8443",
    ],
)
def test_right_base_urls(client: Client, base_url: str) -> None:
    client(**CREDENTIALS, base_url=base_url)
    other = base_url.replace("localhost", "mock.example").replace("127.0.0.1", "10.0.0.1")
    client(**CREDENTIALS, base_url=other, insecure_http=True)


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("BINANCE_API_KEY", None, "is missing"),
        ("BINANCE_API_KEY", "key\n", "line break"),
        ("BINANCE_API_KEY", "`key`", "is in quotes"),
        ("BINANCE_API_KEY", "key;", "no key has"),
        ("BINANCE_API_SECRET", None, "or BINANCE_PRIVATE_KEY_FILE is missing"),
        ("BINANCE_API_SECRET", " ", "is blank"),
        ("BINANCE_BASE_URL", "http://api.binance.com", "must use https://"),
        ("BINANCE_API_SECRET", '"secret"', "is in quotes"),
        ("BINANCE_BASE_URL", '"https://api.binance.com"', "is in quotes"),
        ("BINANCE_BASE_URL", "https://api.binance.com ", "contains a space"),
        ("BINANCE_PROXY", "'http://localhost:3128'", "is in quotes"),
        ("BINANCE_PROXY", "localhost:3128", "is not a proxy"),
        ("BINANCE_PRIVATE_KEY_FILE", '"/key.pem"', "is in quotes"),
        ("BINANCE_PRIVATE_KEY_FILE", "key.pem", "be combined with BINANCE_API_SECRET; give one"),
        ("BINANCE_INSECURE_HTTP", "true", "must be 1, or unset"),
    ],
)
def test_a_wrong_environment_names_the_variable(
    client: Client, environment: SetEnvironment, variable: str, value: str | None, problem: str
) -> None:
    environment(**{variable: value})
    with pytest.raises(ConfigurationError, match=problem) as caught:
        client.from_env()
    assert str(caught.value).startswith(variable)


def test_a_client_from_the_environment(client: Client, environment: SetEnvironment) -> None:
    assert "https://api.binance.com" in repr(client.from_env())
    environment(**dict.fromkeys(VARIABLES.values(), "") | RIGHT)
    assert "https://api.binance.com" in repr(client.from_env())
    environment(BINANCE_BASE_URL="http://localhost:4010")
    assert "http://localhost:4010" in repr(client.from_env())
    assert "http://[::1]" in repr(client.from_env(base_url="http://[::1]", timeout=1))
    environment(BINANCE_PROXY="http://localhost:1")
    client.from_env(transport=TRANSPORT)  # instead of the proxy


def test_from_env_takes_no_secret(client: Client) -> None:
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


def test_other_options_for_single_calls(client: Client) -> None:
    made = client(**CREDENTIALS, timeout=7)
    twin = made.with_options(timeout=3, max_attempts=1)
    assert (type(twin), twin._config.timeout, made._config.timeout) == (client, 3, 7)
    assert made.with_options()._config == made._config
    wrong: list[dict[str, Any]] = [{"timeout": 0}, {"max_attempts": 0}, {"max_retry_wait": -1}]
    wrong += [{"timeot": 3}, {"api_secret": "hunter2"}, {"proxy": "hunter2"}]
    for options in wrong:
        with pytest.raises(ConfigurationError, match=f"^{next(iter(options))}") as caught:
            made.with_options(**options)
        assert "hunter2" not in str(caught.value)
    assert str(caught.value) == "proxy is not an option of with_options"


def test_from_env_calls_the_constructor_of_a_subclass(
    client: Client, environment: SetEnvironment
) -> None:
    class Ours(client):  # type: ignore[misc, valid-type]  # it is one of two classes
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.options = options

    environment(BINANCE_BASE_URL="http://localhost:4010")
    ours = Ours.from_env(timeout=1)
    assert ours.options.keys() == {"api_key", "api_secret", "base_url", "timeout"}
    assert API_SECRET not in repr(ours.options)


@pytest.mark.parametrize("given", [{}, {"proxy": "http://user:hunter2@localhost:1"}])
def test_a_constructor_that_fails_shows_no_secret(
    client: Client, environment: SetEnvironment, given: dict[str, Any]
) -> None:
    class Ours(client):  # type: ignore[misc, valid-type]  # it is one of two classes
        def __init__(self, **options: Any) -> None:
            super().__init__(**options, timeout=0)

    environment(BINANCE_PROXY="http://user:hunter2@localhost:1")
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
    documented = (client.from_env.__doc__ or "").partition("Args:")[2]
    assert [each for each in options if f"`{each}`" not in documented] == []


@pytest.mark.parametrize(
    ("variable", "content", "problem"),
    [
        ("SSL_CERT_FILE", None, "No such file"),
        ("SSL_CERT_FILE", "folder", "Is a directory"),
        ("SSL_CERT_FILE", "not a certificate", "holds no certificates"),
        ("SSL_CERT_DIR", None, "is not a folder"),
        ("SSLKEYLOGFILE", "folder", "Is a directory"),
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
    # Loads the authorities again: this process has loaded its own.
    monkeypatch.setattr(network, "tls", network.tls.__wrapped__)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        client(**CREDENTIALS)
    assert caught.value.option == variable
    assert caught.value.problem.startswith(f"names {path}, which ")


def test_without_socksio_a_socks_proxy_needs_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError) as caught:
        client(proxy="socks5://u:hunter2@h:1", **CREDENTIALS)
    assert str(caught.value) == 'proxy needs another package: pip install "httpx[socks]"'
