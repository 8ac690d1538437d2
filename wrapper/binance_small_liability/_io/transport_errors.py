"""Errors of transports, without secrets."""

import httpx

from binance_small_liability._secrets import bare


def transport_error(error: BaseException, *, ours: bool = False) -> BaseException:
    """`error` without the frames that may hold signed bytes.

    Some connection errors are not httpx's: `ssl.SSLError`, the RuntimeError of an event loop that
    ends, or the `socksio.ProtocolError` of a SOCKS proxy. They become httpx.ConnectError. Others
    pass through, because a signal handler of the caller may raise its own.

    Args:
        error: what a transport raised.
        ours: whether every error is one of the connection.
    """
    foreign = Exception if ours else (OSError, UnicodeError, RuntimeError)
    is_foreign = isinstance(error, foreign) or type(error).__module__.startswith("socksio")
    if is_foreign and not isinstance(error, httpx.HTTPError):
        return httpx.ConnectError(f"{type(error).__name__}: {error}")
    return bare(error)
