"""Responses, made from the answers of the contract."""

import ssl

import httpx

from ._contract import Example
from ._json import exact_json

USED_WEIGHT = "X-SAPI-USED-IP-WEIGHT-1M"
RETRY_AFTER = "Retry-After"

# What belongs to one connection, not to what is said over it.
_HOP_BY_HOP = {
    *("host", "date", "connection", "keep-alive"),
    *("accept-encoding", "content-length", "transfer-encoding"),
}


def reply(
    answer: Example,
    used: int,
    *,
    status: int | None = None,
    body: str | bytes | None = None,
    retry_after: float | str | None = None,
) -> httpx.Response:
    """A documented answer, with the headers that are documented for it.

    Args:
        answer: the example of the contract.
        used: the request weight used so far.
        status: which one, where the answer is that of a group of statuses.
        body: another body than the example's.
        retry_after: another value than the example's.
    """
    headers = {name: str(value) for name, value in answer.headers.items()}
    if USED_WEIGHT in headers:
        headers[USED_WEIGHT] = str(used)
    if retry_after is not None:
        headers[RETRY_AFTER] = str(retry_after)
    if body is None:
        is_json = answer.media_type == "application/json"
        body = exact_json(answer.value) if is_json else str(answer.value)
    headers["Content-Type"] = answer.media_type
    return httpx.Response(status or int(answer.status), headers=headers, content=body)


def elsewhere(allowed: list[str]) -> httpx.Response:
    """For a path that the contract does not know, or a method that its path does not allow."""
    if not allowed:
        return httpx.Response(404, content=b"")
    return httpx.Response(405, headers={"Allow": ", ".join(allowed)}, content=b"")


def forward(upstream: str, request: httpx.Request, target: bytes, used: int) -> httpx.Response:
    """What the server at the URL `upstream` answers, with the weight that was really used."""
    # Mock servers speak plain http; to load the authorities would take longer than the call.
    nobody_trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with httpx.HTTPTransport(verify=nobody_trusted) as transport:
        forwarded = httpx.Request(
            request.method, upstream, headers=_kept(request.headers), extensions={"target": target}
        )
        response = transport.handle_request(forwarded)
        body = response.read()
    headers = httpx.Headers(_kept(response.headers))
    if USED_WEIGHT in headers:
        headers[USED_WEIGHT] = str(used)
    return httpx.Response(response.status_code, headers=headers, content=body)


def _kept(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.multi_items() if name not in _HOP_BY_HOP]
