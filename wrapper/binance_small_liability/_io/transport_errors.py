"""Errors of transports, without secrets."""

import httpx

from binance_small_liability._secrets import bare

# `ssl.SSLError`, a name that cannot be encoded, an event loop that ends.
_FOREIGN = (OSError, UnicodeError, RuntimeError)


def is_foreign(error: BaseException) -> bool:
    """Whether a library reports a failure of the network with an error that is not httpx's.

    Every other error passes through, such as one that a signal handler of the caller raised.
    """
    # socksio need not be installed.
    is_of_socks = type(error).__module__.partition(".")[0] == "socksio"
    return is_of_socks or isinstance(error, _FOREIGN)


def transport_error(error: BaseException) -> BaseException:
    """`error` without the frames that may hold signed bytes. A foreign one is replaced."""
    if is_foreign(error):
        return httpx.ConnectError(f"{type(error).__name__}: {error}")
    return bare(error)


def broken_body(error: Exception) -> httpx.HTTPError:
    """What an error of a body means. Raises it if it is not one of the network."""
    if isinstance(error, httpx.HTTPError):
        return error
    if is_foreign(error):
        return httpx.ReadError(f"{type(error).__name__}: {error}")
    raise error
