"""Errors of transports, without secrets."""

import httpx


def transport_error(error: BaseException) -> BaseException:
    """`error` without the frames that may hold signed bytes.

    Some connection errors are not httpx's: `ssl.SSLError`, or the RuntimeError of an event loop
    that ends. They become httpx.ConnectError.
    """
    if isinstance(error, (OSError, UnicodeError, RuntimeError)):
        return httpx.ConnectError(f"{type(error).__name__}: {error}")
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
