"""Keeps keys and signatures out of logs, reprs, pickles and tracebacks."""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote

T = TypeVar("T")

HIDDEN = "[hidden]"
# Shorter texts are not real keys, and may be part of ordinary words.
_SHORTEST = 8
_MOST_LAYERS = 3  # layers of percent-encoding


class Hidden:
    """A value that only `reveal` shows."""

    # A closure, because `vars()` and reprs of containers show attributes.
    __slots__ = ("reveal",)

    def __init__(self, value: Any) -> None:
        self.reveal: Callable[[], Any] = lambda: value

    @classmethod
    def of(cls, value: Any) -> "Hidden":
        """`value` hidden, unless it is already."""
        return value if isinstance(value, Hidden) else cls(value)

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("A hidden value cannot be pickled or copied.")


def without_frames(function: Callable[[], T]) -> T:
    """What `function` returns. An error loses its frames, whose local variables are secrets."""
    try:
        return function()
    except BaseException as error:
        raise error.with_traceback(None) from None


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`, each of which may be percent-encoded."""
    hidden = [secret for secret in secrets if len(secret) >= _SHORTEST]
    hidden += [plain for secret in hidden if (plain := unquote(secret)) != secret]
    for secret in hidden:
        text = text.replace(secret, HIDDEN)
    # A secret that the text encodes in another way cannot be cut out, so the whole text is hidden.
    plain_text = _plain(text)
    return HIDDEN if any(_plain(secret) in plain_text for secret in hidden) else text


def _plain(text: str) -> str:
    for _ in range(_MOST_LAYERS):
        text = unquote(text)
    return text.casefold()
