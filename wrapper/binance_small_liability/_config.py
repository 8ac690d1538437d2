"""Options, checked before anything is sent, and what the environment sets."""

import ipaddress
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import attrs
import httpx
from binance_small_liability_api.operation import ParameterError
from binance_small_liability_api.operations import list_coins

from ._errors import ConfigurationError
from ._io.messages import Connector
from ._secrets import Hidden, without_frames

_LAST_PORT = 65_535
_LONGEST_URL = 8_000  # characters; httpx refuses 65,536, with the path of an endpoint
# httpx accepts more, and encodes it: "host%20". The resolver refuses longer labels.
_HOST = re.compile(
    rb"(?=.{0,253}$)([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{0,63}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
)
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")

BASE_URL = "https://api.binance.com"
# Bans last up to 3 days. Source: "Limits" on
# https://developers.binance.com/docs/margin_trading/general-info
LONGEST_BAN = 3 * 24 * 60 * 60  # seconds
# The same for all signed requests.
RECV_WINDOW = list_coins.parameters["recv_window"]
# Binance gives up after 10 s and reports -1007.
TIMEOUT = 15.0  # seconds
MAX_ATTEMPTS = 3
MAX_RETRY_WAIT = 60.0  # seconds


def check_recv_window(value: int, option: str = "recv_window") -> int:
    """`value`, if it is a number of milliseconds that Binance accepts."""
    try:
        RECV_WINDOW.text(option, value)
    except ParameterError as error:
        raise ConfigurationError(option, error.problem) from None
    return value


def _recv_window(_: Any, attribute: "attrs.Attribute[int]", value: int) -> None:
    check_recv_window(value, attribute.name)


def _must_be(wanted: str, fits: Callable[[Any], bool]) -> Any:
    def check(_: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not fits(value):
            raise ConfigurationError(attribute.name, f"must be {wanted}")

    return check


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_above_zero = _must_be(
    f"a number of seconds above 0, at most {LONGEST_BAN}",
    lambda value: _is_number(value) and 0 < value <= LONGEST_BAN,
)
_from_zero = _must_be(
    f"a number of seconds, 0 or more, at most {LONGEST_BAN}",
    lambda value: _is_number(value) and 0 <= value <= LONGEST_BAN,
)
_from_one = _must_be(
    "a whole number, 1 or more",
    lambda value: _is_number(value) and isinstance(value, int) and value >= 1,
)
_boolean = _must_be("True or False", lambda value: isinstance(value, bool))
_callable = _must_be(
    "a plain function of one argument",
    lambda value: value is None or (callable(value) and not iscoroutinefunction(value)),
)
_limits = _must_be(
    "a RedisLimits", lambda value: value is None or callable(getattr(value, "open", None))
)


def _base_url(config: Any, attribute: "attrs.Attribute[str]", value: str) -> None:
    # No message quotes the value, because it may contain a password.
    def refuse(problem: str) -> ConfigurationError:
        return ConfigurationError(attribute.name, problem)

    if isinstance(value, str) and (" " in value or not value.isprintable()):
        raise refuse("contains a space or a control character; remove it")
    if isinstance(value, str) and len(value) > _LONGEST_URL:
        raise refuse(f"has more than {_LONGEST_URL} characters")
    url = parsed_url(value)
    if url is None:
        raise refuse("is not a URL; give one such as https://api.binance.com")
    if url.scheme not in ("http", "https") or not url.host:
        raise refuse("must begin with https:// and name a host, such as https://api.binance.com")
    if url.userinfo:
        raise refuse("must not contain a user name or password; remove the part before the @")
    if "?" in value or "#" in value:
        raise refuse("must not contain a query or a fragment; remove the part after the path")
    if url.scheme == "http" and not config.insecure_http and not is_loopback(url.host):
        problem = "must use https://, because http:// would send the API key in clear text"
        is_mock = not url.host.endswith("binance.com")
        allowing = "; the option insecure_http allows it, for a mock server"
        raise refuse(problem + allowing * is_mock)


def parsed_url(value: object) -> httpx.URL | None:
    """`value` as a URL with a valid host and port, or None."""
    try:
        url = httpx.URL(value) if isinstance(value, str) else None
        # httpx decodes the host only here.
        fits = url is not None and url.host is not None and 0 <= (url.port or 0) <= _LAST_PORT
    except (httpx.InvalidURL, UnicodeError):
        return None
    return url if url is not None and fits and _HOST.fullmatch(url.raw_host) else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _transport(config: Any, _: Any, value: Any) -> None:
    if isinstance(value, Connector):
        _check_secrecy(config, "transport", value.proxy)


def _proxy(config: Any, _: Any, value: Hidden) -> None:
    if value.reveal() is None:
        return
    if config.transport is not None:
        raise ConfigurationError(
            "proxy", "cannot be combined with transport; give it to the transport"
        )
    check_proxy(value, PROXY_SCHEMES)
    _check_secrecy(config, "proxy", value)


def check_proxy(proxy: Hidden, schemes: Iterable[str]) -> None:
    """Raises ConfigurationError unless it is the URL of a proxy with one of these schemes."""
    # No local variable holds the URL: frames of the error show them.
    if not _proxy_host(proxy, schemes):
        raise ConfigurationError(
            "proxy",
            "is not a proxy that can be used; give a URL such as http://host:3128, and write #, /,"
            " ? and @ in a password as %23, %2F, %3F and %40",
        )


def _check_secrecy(config: Any, option: str, proxy: Hidden) -> None:
    host = _proxy_host(proxy, PROXY_SCHEMES)
    is_clear = httpx.URL(config.base_url).scheme == "http" and not config.insecure_http
    if host and is_clear and not is_loopback(host):
        raise ConfigurationError(
            option,
            "has a proxy that would read the API key in clear text, because the base URL is http://",
        )


def _proxy_host(proxy: Hidden, schemes: Iterable[str]) -> str:
    return without_frames(lambda: _host(proxy.reveal(), schemes))


def _host(proxy: object, schemes: Iterable[str]) -> str:
    url = parsed_url(str(proxy.url) if isinstance(proxy, httpx.Proxy) else proxy)
    # The rest of a password that begins with a digit would look like a path or a fragment.
    fits = url is not None and url.scheme in schemes and not (url.fragment or url.raw_path != b"/")
    return url.host if url is not None and fits else ""


@attrs.frozen(kw_only=True)
class Config:
    """The options of a client, except its credentials."""

    base_url: str = attrs.field(default=BASE_URL, validator=_base_url)
    insecure_http: bool = attrs.field(default=False, validator=_boolean)
    recv_window: int = attrs.field(default=RECV_WINDOW.default, validator=_recv_window)
    timeout: float = attrs.field(default=TIMEOUT, validator=_above_zero)
    max_attempts: int = attrs.field(default=MAX_ATTEMPTS, validator=_from_one)
    max_retry_wait: float = attrs.field(default=MAX_RETRY_WAIT, validator=_from_zero)
    transport: Any = attrs.field(default=None, validator=_transport)
    on_retry: Callable[[Any], object] | None = attrs.field(default=None, validator=_callable)
    on_wait: Callable[[Any], object] | None = attrs.field(default=None, validator=_callable)
    limits: Any = attrs.field(default=None, validator=_limits)
    # Hidden, because the URL of a proxy may contain a password.
    proxy: Hidden = attrs.field(factory=lambda: Hidden(None), validator=_proxy)


# The environment variable of each option.
VARIABLES = {
    "api_key": "BINANCE_API_KEY",
    "api_secret": "BINANCE_API_SECRET",
    "private_key": "BINANCE_PRIVATE_KEY_FILE",
    "private_key_password": "BINANCE_PRIVATE_KEY_PASSWORD",
    "base_url": "BINANCE_BASE_URL",
    "insecure_http": "BINANCE_INSECURE_HTTP",
    "proxy": "BINANCE_PROXY",
    "limits": "BINANCE_LIMITS_URL",
}

QUOTES_PROBLEM = "is in quotes; remove them"
_QUOTES = tuple("'\"`")


def has_quotes(value: str) -> bool:
    """Whether a value begins or ends with a quotation mark."""
    # A single quotation mark is the rest of a pair: keys contain none.
    return value.strip()[:1] in _QUOTES or value.strip()[-1:] in _QUOTES


def environment() -> dict[str, Any]:
    """The options that the environment sets, hidden where they may be secret.

    `limits` is the URL of Redis. Raises ConfigurationError.
    """
    return without_frames(_environment)


def _environment() -> dict[str, Any]:
    # An empty variable counts as not set.
    found = {option: Hidden(os.environ.get(name) or None) for option, name in VARIABLES.items()}
    settings: dict[str, Any] = {k: v for k, v in found.items() if v.reveal() is not None}
    for option, value in settings.items():
        # A password may be anything.
        if option != "private_key_password" and has_quotes(value.reveal()):
            raise ConfigurationError(VARIABLES[option], QUOTES_PROBLEM)
    if "base_url" in settings:
        settings["base_url"] = settings["base_url"].reveal()
    if "insecure_http" in settings:
        if settings["insecure_http"].reveal() != "1":
            raise ConfigurationError(VARIABLES["insecure_http"], "must be 1, or unset")
        settings["insecure_http"] = True
    if "private_key" in settings:
        settings["private_key"] = _key_file(settings["private_key"])
    return settings


def _key_file(name: Hidden) -> Hidden:
    # A shell expands "~" only at the start of a word, and env files not at all.
    path = Path(name.reveal())
    with suppress(RuntimeError):  # a user without a home
        return Hidden(path.expanduser())
    return Hidden(path)
