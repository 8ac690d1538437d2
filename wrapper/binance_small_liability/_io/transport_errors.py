"""Errors of transports, without secrets."""

import httpx

from binance_small_liability._secrets import bare


def transport_error(error: BaseException, *, ours: bool = False) -> BaseException:
    """`error` without the frames that may hold signed bytes.

    Some connection errors are not httpx's: `ssl.SSLError`, or the RuntimeError of an event loop
    that ends. They become httpx.ConnectError.

    Args:
        error: what a transport raised.
        ours: whether the transport is ours, and no other library replaced it. Then every error is
            one of the connection, such as the `socksio.ProtocolError` of a SOCKS proxy.
    """
    foreign = Exception if ours else (OSError, UnicodeError, RuntimeError)
    if isinstance(error, foreign) and not isinstance(error, httpx.HTTPError):
        return httpx.ConnectError(f"{type(error).__name__}: {error}")
    return bare(error)
