"""Checks whether a live service follows the contract.

The client calls every operation that only reads, with the keys in the environment, and requests the
time. Status, headers and body of the answers are compared with openapi.yaml. Each operation is sent
at most once, and a POST never.

    BINANCE_API_KEY=… BINANCE_API_SECRET=… make check-live URL=https://api.binance.com
"""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx
import schemathesis
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    ConfigurationError,
    SmallLiabilityError,
)
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tools.contract import OPENAPI_YAML, answer_of, today
from tools.operations import OPERATIONS, SERVER_TIME, Operation
from tools.terminal import say

MOST_SECONDS, MOST_BYTES = 15.0, 10 * 2**20
# schemathesis takes a minute for 1 MiB of wrong values.
_MOST_COMPARED = 2**20  # bytes
_CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _reads() -> list[Operation]:
    return [operation for operation in OPERATIONS if operation.method == "GET"]


class Recorder(httpx.AsyncBaseTransport):
    """Sends each operation that only reads once, and keeps its answer without the credentials."""

    def __init__(self, proxy: str | None = None) -> None:
        """`proxy` is its URL."""
        self._http = httpx.AsyncHTTPTransport(proxy=proxy)
        self.answers: dict[Operation, httpx.Response] = {}
        self._left = [*_reads(), SERVER_TIME]
        self._most_requests = len(self._left)
        # What others receive, so that an answer may repeat it.
        self._secrets: set[str] = set()
        if proxy and (password := httpx.URL(proxy).password):
            sent = f"{httpx.URL(proxy).username}:{password}".encode()
            self._secrets |= {password, base64.b64encode(sent).decode()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request`, if it is the first of its operation, and keeps the answer."""
        operation = next((each for each in self._left if _belongs(request, each)), None)
        if operation is None:
            raise httpx.ConnectError(
                f"no more than {self._most_requests} requests may be sent, one of each operation"
                f" that only reads; {request.method} {request.url.path} would be another"
            )
        self._left.remove(operation)
        signature = request.url.params.get("signature", "")
        self._secrets |= {request.headers.get("X-MBX-APIKEY", ""), signature, quote(signature, "")}
        try:
            async with asyncio.timeout(MOST_SECONDS):
                response = await self._http.handle_async_request(request)
                body = await _read(response)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no complete response in {MOST_SECONDS:.0f} s") from None
        except httpx.HTTPError:
            raise
        except Exception as error:  # of SOCKS proxies
            raise httpx.ReadError(f"{type(error).__name__}: {error}") from error
        self.answers[operation] = self._without_secrets(request, response, body)
        return httpx.Response(response.status_code, headers=response.headers, content=body)

    def _without_secrets(
        self, request: httpx.Request, response: httpx.Response, body: bytes
    ) -> httpx.Response:
        headers = [
            (name.decode("latin-1"), self.redacted(value.decode("latin-1")))
            for name, value in response.headers.raw
            if name.lower() not in (b"content-length", b"transfer-encoding")
        ]
        content = self.redacted(body.decode("utf-8", "surrogateescape"))
        clean = httpx.Response(
            response.status_code,
            headers=headers,
            content=content.encode("utf-8", "surrogateescape"),
        )
        # schemathesis needs both.
        clean.request = httpx.Request(request.method, request.url.copy_with(query=None))
        clean.elapsed = timedelta()
        return clean

    def redacted(self, text: str) -> str:
        """`text` without the credentials that were sent."""
        for secret in filter(None, self._secrets):
            text = text.replace(secret, "[hidden]")
        return text

    async def aclose(self) -> None:
        """Closes the connection."""
        await self._http.aclose()


def _belongs(request: httpx.Request, operation: Operation) -> bool:
    # The URL of the service may have a path.
    return request.method == operation.method and request.url.path.endswith(operation.path)


async def _read(response: httpx.Response) -> bytes:
    """The body as it was sent."""
    try:
        if (encoding := response.headers.get("Content-Encoding", "identity")) != "identity":
            raise httpx.DecodingError(
                f"the response is encoded with {encoding}, which was not requested"
            )
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MOST_BYTES:
                raise httpx.ReadError("the response is larger than 10 MiB")
        return bytes(body)
    finally:
        await response.aclose()


@cache
def _schema() -> Any:
    return schemathesis.openapi.from_path(OPENAPI_YAML)


def _departures(operation: Operation, response: httpx.Response) -> Iterator[str]:
    """The differences between an answer and openapi.yaml."""
    method, path = operation.method, operation.path
    if len(response.content) > _MOST_COMPARED:
        yield "the body is larger than 1 MiB and is not compared"
        return
    case = _schema()[path][method].Case()
    try:
        case.validate_response(response, checks=_CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            yield _in_one_line(failure)
    documented = answer_of(today(), method, path, str(response.status_code)) or {}
    for name in documented.get("headers", {}):
        # The contract cannot require headers; a comment in it gives the reason.
        if name not in response.headers:
            yield f"header {name}: missing"


def _in_one_line(failure: Exception) -> str:
    if not isinstance(failure, Failure):
        return f"{type(failure).__name__}: {failure}"
    lines = failure.message.splitlines()
    places = [line.rstrip(":") for line in lines if line.startswith("Schema at ")]
    return ": ".join([failure.title, *lines[:1], *places])


async def _ask(url: str, recorder: Recorder) -> AsyncIterator[str]:
    """Calls every operation that only reads; yields what fails."""
    async with AsyncSmallLiabilityClient.from_env(
        base_url=url, transport=recorder, max_attempts=1
    ) as client:
        for operation in _reads():
            try:
                await operation.call(client)
            except SmallLiabilityError as error:
                yield f"{type(error).__name__}: {error}"
        # The client requests the time only after Binance refused its clock.
        if SERVER_TIME not in recorder.answers:
            headers = {"Accept-Encoding": "identity"}
            plain = httpx.AsyncClient(transport=recorder, trust_env=False, headers=headers)
            try:
                await plain.get(url.rstrip("/") + SERVER_TIME.path)
            except httpx.HTTPError as error:
                yield f"{SERVER_TIME}: {type(error).__name__}: {error}"


async def _check(url: str) -> int:
    """Returns 0 if the service follows the contract, else 1. Raises ConfigurationError."""
    # This client checks the proxy and the certificates, which one with a transport does not use.
    await AsyncSmallLiabilityClient.from_env(base_url=url).close()
    recorder = Recorder(os.environ.get("BINANCE_PROXY") or None)
    faults = [fault async for fault in _ask(url, recorder)]
    for operation, response in recorder.answers.items():
        departures = [
            f"{operation}: {response.status_code}: {each}"
            for each in _departures(operation, response)
        ]
        faults += departures
        if not departures:
            say(f"{operation}: {response.status_code}, as documented")
    for fault in faults:
        say(f"BREAKS: {recorder.redacted(fault)}")
    return 1 if faults else 0


def main(url: str) -> int:
    """Returns 0 if the service follows the contract, 2 if it cannot be asked, else 1."""
    try:
        return asyncio.run(_check(url))
    except ConfigurationError as error:
        say(str(error), sys.stderr)
        return 2


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
