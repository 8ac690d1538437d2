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

from tools.operations import EXCHANGE, LIST_COINS, LIST_EXCHANGES, SERVER_TIME, Operation, samples

SIGNED = "&signature={signature}"

Sign = Callable[[str], str]


def hmac_sign(payload: str, secret: str | None) -> str:
    assert secret is not None
    return hmac.new(secret.encode(), payload.encode("latin-1"), hashlib.sha256).hexdigest()


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
        operation: Operation = LIST_COINS,
        path: str | None = None,
        method: str | None = None,
        sign: Sign | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Sends `query` and `tail`, in which {now} is the time and {signature} the signature."""
        path = path or operation.path
        query = query.replace("{now}", str(self.fake.now))
        signature = (sign or (lambda payload: hmac_sign(payload, self.fake.api_secret)))(query)
        tail = tail.replace("{signature}", signature).replace("{truncated}", signature[:-1])
        target = f"{path}?{query}{tail}".rstrip("?")
        return self._http.request(
            method or operation.method,
            path,
            headers={"X-MBX-APIKEY": self.fake.api_key} if headers is None else headers,
            extensions={"target": target.encode("latin-1")},
        )

    def documented(
        self, operation: Operation, changes: dict[str, str | None] | None = None, **options: Any
    ) -> httpx.Response:
        """Sends the contract's example of each parameter, or the changed text, or None: nothing."""
        generated = operation.generated
        texts = generated.query(samples(generated)) | (changes or {})
        if generated.signed:
            texts["timestamp"] = str(self.fake.now)
        given = {name: text for name, text in texts.items() if text is not None}
        query = "&".join(f"{name}={quote(text, safe='%')}" for name, text in given.items())
        usual: dict[str, Any] = {"tail": SIGNED if generated.signed else ""}
        if not generated.has_key:
            usual["headers"] = {}
        return self.send(query, operation=operation, **usual | options)

    def exchange(self, *assets: str, **options: Any) -> httpx.Response:
        query = f"assetNames={quote(','.join(assets))}&timestamp={{now}}"
        return self.send(query, operation=EXCHANGE, **options)

    def history(self, query: str = "current=1&size=1", **options: Any) -> httpx.Response:
        return self.send(f"{query}&timestamp={{now}}", operation=LIST_EXCHANGES, **options)

    def time(self) -> httpx.Response:
        return self.documented(SERVER_TIME)


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


def used(response: httpx.Response, operation: Operation = LIST_COINS) -> float | None:
    """The used weight that an answer reports, in requests of the operation."""
    header = operation.generated.weight_header
    assert {name for name in response.headers if "weight" in name} <= {str(header).lower()}
    weight = response.headers.get(header) if header else None
    return None if weight is None else int(weight) / operation.generated.weight
