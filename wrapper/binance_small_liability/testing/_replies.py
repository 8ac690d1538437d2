"""Responses, made from the contract's examples."""

import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from ._contract import Example
from ._json import exact_json

# Headers that a proxy does not forward, because they describe one connection.
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
        headers: added to the example's headers, or replacing them; None removes one.
        status: the exact status, if the answer is documented for a group such as 5XX.
        body: bytes, or a value to write as JSON, instead of the example's body.
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


def undocumented(allowed: list[str]) -> httpx.Response:
    """The 404 of an unknown path, or the 405 of a path with only the `allowed` methods."""
    if not allowed:
        return httpx.Response(404, content=b"")
    return httpx.Response(405, headers={"Allow": ", ".join(allowed)}, content=b"")


def forward(
    upstream: str, request: httpx.Request, target: bytes, headers: Mapping[str, str]
) -> httpx.Response:
    """What the server at the URL `upstream` answers, with these `headers` replaced."""
    # Mock servers use plain http, and loading the authorities takes about 20 ms.
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
