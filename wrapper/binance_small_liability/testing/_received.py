"""The requests that the fake received, without secrets."""

from collections.abc import Iterable
from urllib.parse import unquote

import attrs

from binance_small_liability._secrets import HIDDEN


@attrs.frozen
class ReceivedRequest:
    """A received request. The API key, the secret and the signature are replaced by "[hidden]".

    Attributes:
        method: the HTTP method.
        path: without the query.
        query: names and values, in order and still percent-encoded.
        headers: in order.
        status: the HTTP status of its answer; None if there is none yet.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    status: int | None = None


def received(
    method: str, target: str, headers: Iterable[tuple[str, str]], secrets: dict[str, str]
) -> ReceivedRequest:
    """One request that is not answered yet.

    Args:
        method: the HTTP method.
        target: path and query, as sent.
        headers: as sent.
        secrets: texts to hide everywhere. Their keys are the lower-case names of parameters and
            headers whose values are always hidden.
    """

    def hidden(name: str, value: str) -> str:
        if unquote(name).lower() in secrets:
            return HIDDEN
        for secret in filter(None, secrets.values()):
            value = value.replace(secret, HIDDEN)
        return value

    path, _, query = target.partition("?")
    pairs = [piece.partition("=") for piece in query.split("&") if piece]
    return ReceivedRequest(
        method=method,
        path=hidden("", path),
        query=[(hidden("", name), hidden(name, value)) for name, _, value in pairs],
        headers=[(name, hidden(name, value)) for name, value in headers],
    )


def note_status(request: ReceivedRequest, status: int) -> None:
    """Notes the status of the answer to `request`, which is frozen only for its readers."""
    object.__setattr__(request, "status", status)
