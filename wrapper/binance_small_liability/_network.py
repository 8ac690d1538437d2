"""What carries the requests: the caller's transport, or one of httpx's."""

import ssl
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import httpx

from ._config import Config, parsed_url
from ._errors import ConfigurationError
from ._redaction import Hidden

T = TypeVar("T")

MAX_CONNECTIONS = 100
# As many are kept as may be open: threads that share a client shall not connect anew all the time.
POOL = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)


@cache
def tls() -> ssl.SSLContext:
    """Whom all clients trust. Reading it takes longer than all else that a client does."""
    return httpx.create_ssl_context()


def open_transport(config: Config, kind: type[T], standard: Callable[..., T]) -> T:
    """The caller's transport, or a `standard` one. Raises ConfigurationError."""
    if config.transport is None:
        return _standard_transport(standard, config.proxy)
    if config.proxy.reveal() is not None:
        raise ConfigurationError(
            "proxy", "cannot be combined with transport; give it to the transport"
        )
    if not isinstance(config.transport, kind):
        raise ConfigurationError("transport", f"must be an httpx.{kind.__name__}")
    return config.transport


def _standard_transport(standard: Callable[..., T], proxy: Hidden) -> T:
    if proxy.reveal() is None:
        return standard(verify=tls(), limits=POOL)
    try:
        if _url_of(proxy) is not None:
            return standard(verify=tls(), limits=POOL, proxy=proxy.reveal())
    except (ValueError, TypeError, AttributeError, httpx.InvalidURL, ImportError):
        pass  # and raise outside, because the frames of the failure hold the proxy's password
    raise ConfigurationError(
        "proxy", "is no proxy that httpx can use; give a URL such as http://host:3128"
    )


def _url_of(proxy: Hidden) -> httpx.URL | None:
    given = proxy.reveal()
    return parsed_url(str(given.url) if isinstance(given, httpx.Proxy) else given)


def takes_target(config: Config) -> bool:
    """Whether the transport sends the extension `target`, as httpx's own does without a proxy.

    Through a proxy it would ask that, too, for the target.
    """
    if config.transport is None:
        return config.proxy.reveal() is None
    return getattr(config.transport, "takes_target", False)
