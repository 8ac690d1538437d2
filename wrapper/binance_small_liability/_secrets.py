"""Keeps keys and signatures out of logs, reprs, pickles and tracebacks."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

HIDDEN = "[hidden]"
# Shorter texts are not real keys, and may be part of ordinary words.
_SHORTEST = 8
_MOST_LAYERS = 3  # layers of percent-encoding
_LONGEST_ENCODING = 7  # characters, such as %252561, for one in so many layers
LONGEST_TEXT = 4_000  # characters; a server may send megabytes


class Hidden:
    """A value that only `reveal` shows."""

    # Not an attribute, which `vars()` and reprs of containers show. Not a closure, whose frame an
    # interruption shows.
    __slots__ = ("reveal",)

    def __init__(self, value: Any) -> None:
        self.reveal: Callable[[], Any] = partial((value,).__getitem__, 0)

    @classmethod
    def of(cls, value: Any) -> "Hidden":
        """`value` hidden, unless it is already."""
        return value if isinstance(value, Hidden) else cls(value)

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("A hidden value cannot be pickled or copied.")


def bare(error: E) -> E:
    """`error` without frames, whose local variables may be secrets, and without other errors."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def without_frames(function: Callable[[], T]) -> T:
    """What `function` returns. An error that it raises is bare."""
    try:
        return function()
    except BaseException as error:
        failure = bare(error)
    raise failure


def redact(text: str, secrets: Iterable[str]) -> str:
    """The first characters of `text` without any of `secrets`, which may be percent-encoded."""
    hidden = [secret for secret in secrets if len(secret) >= _SHORTEST]
    hidden += [plain for secret in hidden if (plain := unquote(secret)) != secret]
    # A secret at the end of what is looked at may be incomplete, so as much is cut off again.
    margin = max(map(len, hidden), default=0) * _LONGEST_ENCODING
    is_cut = len(text) > LONGEST_TEXT + margin
    text = text[: LONGEST_TEXT + margin]
    for secret in hidden:
        text = text.replace(secret, HIDDEN)
    # A secret that the text encodes in another way cannot be cut out, so the whole text is hidden.
    plain_text = _plain(text)
    if any(_plain(secret) in plain_text for secret in hidden):
        return HIDDEN
    return text[: len(text) - margin] if is_cut else text


def _plain(text: str) -> str:
    for _ in range(_MOST_LAYERS):
        text = unquote(text)
    return text.casefold()
