"""What a client is told, checked before anything is sent."""

import ipaddress
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import attrs
import httpx

from ._errors import ConfigurationError
from ._limits import LONGEST_BAN
from ._redaction import Hidden
from ._retry import RetryDetails

_LAST_PORT = 65_535

BASE_URL = "https://api.binance.com"
RECV_WINDOW = 5_000  # milliseconds
MAX_RECV_WINDOW = 60_000  # milliseconds
TIMEOUT = 10.0  # seconds
MAX_ATTEMPTS = 3
MAX_RETRY_WAIT = 60.0  # seconds


def check_recv_window(value: int, option: str = "recv_window") -> int:
    """`value`, if it is a number of milliseconds that Binance accepts."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_RECV_WINDOW:
        raise ConfigurationError(
            option, f"must be a whole number of milliseconds from 1 to {MAX_RECV_WINDOW}"
        )
    return value


def _recv_window(_: Any, attribute: "attrs.Attribute[int]", value: int) -> None:
    check_recv_window(value, attribute.name)


def _callable(_: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and (not callable(value) or iscoroutinefunction(value)):
        raise ConfigurationError(attribute.name, "must be a plain function of one argument")


def _number(wanted: str, fits: Callable[[float], bool], *kinds: type) -> Any:
    def check(_: Any, attribute: "attrs.Attribute[float]", value: float) -> None:
        number = isinstance(value, kinds) and not isinstance(value, bool)
        if not number or not fits(value):
            raise ConfigurationError(attribute.name, f"must be {wanted}")

    return check


_above_zero = _number(
    f"a number of seconds above 0, at most {LONGEST_BAN}",
    lambda value: 0 < value <= LONGEST_BAN,
    int,
    float,
)
_from_zero = _number(
    f"a number of seconds, 0 or more, at most {LONGEST_BAN}",
    lambda value: 0 <= value <= LONGEST_BAN,
    int,
    float,
)
_from_one = _number("a whole number, 1 or more", lambda value: value >= 1, int)


def _base_url(_: Any, attribute: "attrs.Attribute[str]", value: str) -> None:
    # The value is never quoted: it may carry a password.
    def refuse(problem: str) -> ConfigurationError:
        return ConfigurationError(attribute.name, problem)

    url = parsed_url(value)
    if url is None:
        raise refuse("is not a URL; give one such as https://api.binance.com")
    if url.scheme not in ("http", "https") or not url.host:
        raise refuse("must begin with https:// and name a host, as https://api.binance.com does")
    if url.userinfo:
        raise refuse("must not carry a user name or password; remove what stands before the @")
    if "?" in value or "#" in value:
        raise refuse("must not carry a query or a fragment; remove what follows the path")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise refuse("must use https://, or the API key would travel in the clear")


def parsed_url(value: object) -> httpx.URL | None:
    """`value` as a URL whose host and port can be, or None."""
    try:
        url = httpx.URL(value) if isinstance(value, str) else None
        # httpx decodes the host only here.
        fits = url is not None and url.host is not None and 0 <= (url.port or 0) <= _LAST_PORT
    except (httpx.InvalidURL, UnicodeError):
        return None
    return url if fits else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@attrs.frozen(kw_only=True)
class Config:
    """Everything a client is told, but its secrets."""

    base_url: str = attrs.field(default=BASE_URL, validator=_base_url)
    recv_window: int = attrs.field(default=RECV_WINDOW, validator=_recv_window)
    timeout: float = attrs.field(default=TIMEOUT, validator=_above_zero)
    max_attempts: int = attrs.field(default=MAX_ATTEMPTS, validator=_from_one)
    max_retry_wait: float = attrs.field(default=MAX_RETRY_WAIT, validator=_from_zero)
    transport: Any = None
    on_retry: Callable[[RetryDetails], object] | None = attrs.field(
        default=None, validator=_callable
    )
    # Hidden, since the URL of a proxy may carry a password.
    proxy: Hidden = attrs.field(factory=lambda: Hidden(None))
