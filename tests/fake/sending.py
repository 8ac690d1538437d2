"""Requests to the fake that no client would send."""

import hashlib
import hmac
import http.client
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
from binance_small_liability.testing import FakeBinance

from tools.contract import LIST_PATH, TIME_PATH, definition_of, today
from tools.operations import HISTORY_PATH, Operation

IP_WEIGHT = "X-SAPI-USED-IP-WEIGHT-1M"
UID_WEIGHT = "X-SAPI-USED-UID-WEIGHT-1M"
SIGNED = "&signature={signature}"

Sign = Callable[[str], str]


def hmac_sign(payload: str, secret: str | None) -> str:
    assert secret is not None
    return hmac.new(secret.encode(), payload.encode("latin-1"), hashlib.sha256).hexdigest()


def example(parameter: dict[str, Any]) -> str | None:
    """The contract's example or default of a parameter, encoded; {now} for the timestamp."""
    if parameter["name"] == "timestamp":
        return "{now}"
    value = parameter.get("example", parameter["schema"].get("default"))
    text = ",".join(value) if isinstance(value, list) else str(value)
    return None if value is None else quote(text)


class Sender:
    """Sends any bytes to a fake, correctly signed unless a test asks otherwise."""

    def __init__(self, fake: FakeBinance, http_client: httpx.Client) -> None:
        self.fake = fake
        self._http = http_client

    def send(
        self,
        query: str = "timestamp={now}",
        tail: str = SIGNED,
        *,
        path: str = LIST_PATH,
        method: str = "GET",
        sign: Sign | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Sends `query` and `tail`, in which {now} is the time and {signature} the signature."""
        query = query.replace("{now}", str(self.fake.now))
        signature = (sign or (lambda payload: hmac_sign(payload, self.fake.api_secret)))(query)
        tail = tail.replace("{signature}", signature).replace("{truncated}", signature[:-1])
        target = f"{path}?{query}{tail}".rstrip("?")
        return self._http.request(
            method,
            path,
            headers={"X-MBX-APIKEY": self.fake.api_key} if headers is None else headers,
            extensions={"target": target.encode("latin-1")},
        )

    def exchange(self, *assets: str, **options: Any) -> httpx.Response:
        query = f"assetNames={quote(','.join(assets))}&timestamp={{now}}"
        return self.send(query, method="POST", **options)

    def history(self, query: str = "current=1&size=100", **options: Any) -> httpx.Response:
        return self.send(f"{query}&timestamp={{now}}", path=HISTORY_PATH, **options)

    def documented(self, operation: Operation) -> httpx.Response:
        """Sends the contract's example of each parameter."""
        definition = definition_of(today(), operation.method, operation.path)
        examples = {each["name"]: example(each) for each in definition["parameters"]}
        query = "&".join(f"{name}={value}" for name, value in examples.items() if value)
        signed = bool(definition["security"])
        return self.send(
            query,
            SIGNED if signed else "",
            path=operation.path,
            method=operation.method,
            headers=None if signed else {},
        )

    def time(self) -> httpx.Response:
        return self.send("", "", path=TIME_PATH, headers={})


class RawSocket(httpx.BaseTransport):
    """Sends any target; the usual libraries do not send targets that are not encoded."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        head = [request.method.encode() + b" " + request.extensions["target"] + b" HTTP/1.1"]
        head += [name + b": " + value for name, value in request.headers.raw]
        with socket.create_connection((request.url.host, request.url.port or 80)) as connection:
            connection.sendall(b"\r\n".join([*head, b"", b""]))
            answer = http.client.HTTPResponse(connection, method=request.method)
            answer.begin()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def verdict(response: httpx.Response) -> tuple[int, int | None]:
    """Status and Binance's error code."""
    body = response.json() if response.content else None
    return response.status_code, body.get("code") if isinstance(body, dict) else None
