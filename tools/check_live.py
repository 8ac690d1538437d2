"""Does a live service keep the contract?

The client lists the coins once, with the keys in the environment, and the time is asked for.
Status, headers and body of the answers are held to openapi.yaml. At most two requests are sent.

    BINANCE_API_KEY=… BINANCE_API_SECRET=… python -m tools.check_live https://api.binance.com
"""

import sys
from collections.abc import Iterator
from datetime import timedelta
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

from tools.contract import LIST_PATH, OPENAPI_YAML, TIME_PATH, answer_of, load

_MOST_REQUESTS = 2
_SECONDS = 10.0
_CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


class Recorder(httpx.BaseTransport):
    """Lets two requests through, and keeps what came, without what was secret in what was sent."""

    def __init__(self) -> None:
        self._http = httpx.HTTPTransport()
        self.answers: dict[str, httpx.Response] = {}
        self._left = _MOST_REQUESTS

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`, if one is left, and keep its answer."""
        if not self._left:
            raise httpx.ConnectError(f"no more than {_MOST_REQUESTS} requests may be sent")
        self._left -= 1
        response = self._http.handle_request(request)
        response.read()
        path = LIST_PATH if request.url.path.endswith(LIST_PATH) else TIME_PATH
        self.answers[path] = _without_secrets(request, response)
        return response

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


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
    # schemathesis wants both.
    clean.request = httpx.Request(request.method, request.url.copy_with(query=None))
    clean.elapsed = timedelta()
    return clean


def _departures(path: str, response: httpx.Response) -> Iterator[str]:
    """Where an answer is not what openapi.yaml documents."""
    case = schemathesis.openapi.from_path(OPENAPI_YAML)[path]["GET"].Case()
    try:
        case.validate_response(response, checks=_CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            yield _in_one_line(failure)
    documented = answer_of(load(), path, str(response.status_code)) or {}
    for name in documented.get("headers", {}):
        # The contract cannot say so: see its note on headers.
        if name not in response.headers:
            yield f"header {name}: missing"


def _in_one_line(failure: Exception) -> str:
    if not isinstance(failure, Failure):
        return f"{type(failure).__name__}: {failure}"
    lines = failure.message.splitlines()
    places = [line.rstrip(":") for line in lines if line.startswith("Schema at ")]
    return ": ".join([failure.title, *lines[:1], *places])


def main(url: str) -> int:
    """0 if the contract is kept, 1 if it is not or the coins are refused, 2 without credentials."""
    recorder = Recorder()
    faults = []
    try:
        with SmallLiabilityClient.from_env(
            base_url=url, transport=recorder, max_attempts=1
        ) as client:
            try:
                client.list_coins()
            except SmallLiabilityError as error:
                faults.append(f"{type(error).__name__}: {error}")
            if TIME_PATH not in recorder.answers:
                # The client only asks for the time when its clock was refused.
                plain = httpx.Client(transport=recorder, timeout=_SECONDS, trust_env=False)
                plain.get(url.rstrip("/") + TIME_PATH)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    except httpx.HTTPError as error:
        faults.append(f"{TIME_PATH}: {type(error).__name__}: {error}")
    for path, response in recorder.answers.items():
        departures = [
            f"{path}: {response.status_code}: {each}" for each in _departures(path, response)
        ]
        faults += departures
        if not departures:
            print(f"{path}: {response.status_code}, as documented")
    for fault in faults:
        print(f"BREAKS: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
