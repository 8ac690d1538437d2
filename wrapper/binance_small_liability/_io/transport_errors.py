"""Errors of transports, without what must stay secret."""

import httpx


def transport_error(error: BaseException) -> BaseException:
    """`error` without the frames in which signed bytes may be seen.

    Some errors of connections are not those of httpx: an `ssl.SSLError`, or the RuntimeError of an
    event loop that ends. They become httpx errors.
    """
    if isinstance(error, (OSError, UnicodeError, RuntimeError)):
        return httpx.ConnectError(f"{type(error).__name__}: {error}")
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
