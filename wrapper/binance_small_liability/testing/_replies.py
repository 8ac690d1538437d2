"""Responses, made from the answers of the contract."""

import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from ._contract import Example
from ._json import exact_json

# What belongs to one connection, not to the message.
_HOP_BY_HOP = {
    *("host", "date", "connection", "keep-alive"),
    *("accept-encoding", "content-length", "transfer-encoding"),
}


def reply(
    answer: Example,
    headers: Mapping[str, str | None],
    *,
    status: int | None = None,
    body: Any = None,
) -> httpx.Response:
    """A documented answer.

    Args:
        answer: the example of the contract.
        headers: added to those that the example has, or replacing them; None removes one.
        status: which one, where the answer is that of a group of statuses.
        body: another body than the example's: bytes, or a value to write as JSON.
    """
    if body is None:
        body = answer.value
    if not isinstance(body, bytes):
        is_json = answer.media_type == "application/json"
        body = (exact_json(body) if is_json else str(body)).encode()
    documented = {name: str(value) for name, value in answer.headers.items()}
    response = httpx.Response(status or int(answer.status), headers=documented, content=body)
    response.headers["Content-Type"] = answer.media_type
    for name, value in headers.items():
        if value is not None:
            response.headers[name] = value
        elif name in response.headers:
            del response.headers[name]
    return response


def elsewhere(allowed: list[str]) -> httpx.Response:
    """For a path that the contract does not know, or a method that its path does not allow."""
    if not allowed:
        return httpx.Response(404, content=b"")
    return httpx.Response(405, headers={"Allow": ", ".join(allowed)}, content=b"")


def forward(
    upstream: str, request: httpx.Request, target: bytes, headers: Mapping[str, str]
) -> httpx.Response:
    """What the server at the URL `upstream` answers, with these `headers` replaced."""
    # Mock servers use plain http. Loading the authorities would take longer than the call.
    without_authorities = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with httpx.HTTPTransport(verify=without_authorities) as transport:
        forwarded = httpx.Request(
            request.method, upstream, headers=_kept(request.headers), extensions={"target": target}
        )
        response = transport.handle_request(forwarded)
        body = response.read()
    answered = httpx.Response(response.status_code, headers=_kept(response.headers), content=body)
    answered.headers.update(headers)
    return answered


def _kept(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.multi_items() if name not in _HOP_BY_HOP]
