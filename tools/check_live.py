"""Checks whether a live service follows the contract.

The client calls every operation that only reads, with the keys in the environment, and requests the
time. Status, headers and body of the answers are compared with openapi.yaml. Each operation is sent
at most once, and a POST never.

    BINANCE_API_KEY=… BINANCE_API_SECRET=… make check-live URL=https://api.binance.com
"""

import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx
import schemathesis
from binance_small_liability import (
    ConfigurationError,
    SmallLiabilityClient,
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

_SECONDS = 10.0
_CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _reads() -> list[Operation]:
    return [operation for operation in OPERATIONS if operation.method == "GET"]


class Recorder(httpx.BaseTransport):
    """Sends each operation that only reads once, and keeps its answer without the credentials."""

    def __init__(self) -> None:
        self._http = httpx.HTTPTransport()
        self.answers: dict[Operation, httpx.Response] = {}
        self._left = [*_reads(), SERVER_TIME]
        self._most_requests = len(self._left)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request`, if it is the first of its operation, and keeps the answer."""
        operation = next((each for each in self._left if _belongs(request, each)), None)
        if operation is None:
            raise httpx.ConnectError(
                f"no more than {self._most_requests} requests may be sent, one of each operation"
                f" that only reads; {request.method} {request.url.path} would be another"
            )
        self._left.remove(operation)
        response = self._http.handle_request(request)
        response.read()
        self.answers[operation] = _without_secrets(request, response)
        return response

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()


def _belongs(request: httpx.Request, operation: Operation) -> bool:
    # The URL of the service may have a path.
    return request.method == operation.method and request.url.path.endswith(operation.path)


def _without_secrets(request: httpx.Request, response: httpx.Response) -> httpx.Response:
    """`response` without the credentials of `request`, which it may repeat in part."""
    signature = request.url.params.get("signature", "")
    secrets = [request.headers.get("X-MBX-APIKEY", ""), signature, quote(signature, safe="")]

    def redacted(content: bytes) -> bytes:
        for secret in filter(None, secrets):
            content = content.replace(secret.encode(), b"[hidden]")
        return content

    headers = [
        (name, redacted(value))
        for name, value in response.headers.raw
        if name.lower() not in (b"content-length", b"content-encoding", b"transfer-encoding")
    ]
    clean = httpx.Response(
        response.status_code, headers=headers, content=redacted(response.content)
    )
    # schemathesis needs both.
    clean.request = httpx.Request(request.method, request.url.copy_with(query=None))
    clean.elapsed = timedelta()
    return clean


@cache
def _schema() -> Any:
    return schemathesis.openapi.from_path(OPENAPI_YAML)


def _departures(operation: Operation, response: httpx.Response) -> Iterator[str]:
    """The differences between an answer and openapi.yaml."""
    method, path = operation.method, operation.path
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


def _ask(url: str, recorder: Recorder) -> Iterator[str]:
    """Calls every operation that only reads; yields what fails."""
    with SmallLiabilityClient.from_env(base_url=url, transport=recorder, max_attempts=1) as client:
        for operation in _reads():
            try:
                operation.call(client)
            except SmallLiabilityError as error:
                yield f"{type(error).__name__}: {error}"
        # The client requests the time only after Binance refused its clock.
        if SERVER_TIME not in recorder.answers:
            plain = httpx.Client(transport=recorder, timeout=_SECONDS, trust_env=False)
            try:
                plain.get(url.rstrip("/") + SERVER_TIME.path)
            except httpx.HTTPError as error:
                yield f"{SERVER_TIME}: {type(error).__name__}: {error}"


def main(url: str) -> int:
    """Returns 0 if the service follows the contract, 2 without credentials, else 1."""
    recorder = Recorder()
    try:
        faults = list(_ask(url, recorder))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    for operation, response in recorder.answers.items():
        departures = [
            f"{operation}: {response.status_code}: {each}"
            for each in _departures(operation, response)
        ]
        faults += departures
        if not departures:
            print(f"{operation}: {response.status_code}, as documented")
    for fault in faults:
        print(f"BREAKS: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
