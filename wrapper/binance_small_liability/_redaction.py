"""Keeps keys and signatures out of logs, reprs, pickles and tracebacks.

The API key and the signature of an attempt exist only inside a `Seal`, which the transport opens at
the last moment. So whatever httpx logs, and whatever hangs on its errors, never held them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from urllib.parse import unquote

import httpx

HIDDEN = "[hidden]"
_SHORTEST = 8
_MOST_LAYERS = 3  # of percent-encoding
SEAL = "binance_small_liability.seal"


class Hidden:
    """Something that shows itself to no one but the caller of `reveal`."""

    # A closure, because `vars()` and reprs of containers show attributes.
    __slots__ = ("reveal",)

    def __init__(self, value: Any) -> None:
        self.reveal: Callable[[], Any] = lambda: value

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("A hidden value cannot be pickled or copied.")


class Seal:
    """What one attempt adds to a request, on its way to the transport.

    Attributes:
        timestamp: when it was made, in milliseconds.
    """

    __slots__ = ("_api_key", "_before", "_signature", "_target", "timestamp")

    def __init__(
        self,
        api_key: Hidden,
        timestamp: int,
        target: bytes,
        signature: str,
        before: "Seal | None" = None,
    ) -> None:
        """Seals the `signature` of the query in `target`: path and query, stamped and encoded.

        `before` is that of the attempt before.
        """
        self._api_key = api_key
        self._before = before
        self._signature = Hidden(signature)
        self._target = target
        self.timestamp = timestamp

    def open(self, request: httpx.Request, *, takes_target: bool) -> httpx.Request:
        """The request as it goes to the wire: the signature last, the key in its header.

        Args:
            request: what was sealed.
            takes_target: whether the transport sends the extension `target` instead of the URL's
                own path and query. httpx takes long to make another URL.
        """
        target = b"%b&signature=%b" % (self._target, self._signature.reveal().encode("ascii"))
        extensions = {key: value for key, value in request.extensions.items() if key != SEAL}
        url = request.url
        if takes_target:
            extensions["target"] = target
        else:
            url = url.copy_with(raw_path=target)
        opened = httpx.Request(
            request.method,
            url,
            headers=request.headers,
            content=request.content,
            extensions=extensions,
        )
        opened.headers["X-MBX-APIKEY"] = self._api_key.reveal()
        return opened

    def redact(self, text: str) -> str:
        """`text` without the key and the signatures of a request, which an answer may echo."""
        # What is shorter is no real key, and may be part of any word.
        hidden = [secret for secret in self._hidden() if len(secret) >= _SHORTEST]
        for secret in hidden:
            text = text.replace(secret, HIDDEN)
        # Encoded in another way, they cannot be cut out.
        plain = _plain(text)
        return HIDDEN if any(_plain(secret) in plain for secret in hidden) else text

    def _hidden(self) -> Iterator[str]:
        yield self._api_key.reveal()
        seal: Seal | None = self
        while seal is not None:
            yield seal._signature.reveal()
            yield unquote(seal._signature.reveal())
            seal = seal._before


def _plain(text: str) -> str:
    for _ in range(_MOST_LAYERS):
        text = unquote(text)
    return text.casefold()


def defuse(error: Exception, redact: Callable[[str], str]) -> None:
    """Takes from `error` the frames and causes in which the signed request may be seen."""
    error.args = tuple(redact(str(argument)) for argument in error.args)
    error.__cause__ = error.__context__ = error.__traceback__ = None
