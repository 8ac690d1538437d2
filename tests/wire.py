"""A server on a real socket that records every byte and sends scripted answers."""

import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tools.operations import LIST_COINS

DOCUMENTED = LIST_COINS.body


@dataclass(frozen=True)
class Request:
    """A received request."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    connection: int  # the client's port, which identifies the connection

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """Names and values as they were sent, still encoded."""
        pairs = self.target.partition("?")[2].split("&")
        return [(name, value) for name, _, value in (pair.partition("=") for pair in pairs)]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


# Bytes are sent, and the connection is kept. A function receives the socket, which is
# then closed.
Answer = bytes | Callable[[socket.socket], None]


def reset(after: bytes = b"") -> Answer:
    """Sends some bytes and breaks the connection."""

    def act(connection: socket.socket) -> None:
        connection.sendall(after)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def stalled(after: bytes = b"") -> Answer:
    """Sends some bytes and no more, until the client gives up."""

    def act(connection: socket.socket) -> None:
        connection.sendall(after)
        connection.recv(1)

    return act


def closed(after: bytes = b"") -> Answer:
    """Sends some bytes and ends the connection."""
    return lambda connection: connection.sendall(after)


class WireServer(socketserver.ThreadingTCPServer):
    """Answers each request with what `answer` returns for it."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(
        self, answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.tls = tls
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        scheme, host = ("https", "localhost") if self.tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs nothing: tests make clients give up on purpose."""


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: WireServer

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        if self.server.tls is not None:
            self.connection.close()

    def handle(self) -> None:
        while request := self._read():
            self.server.requests.append(request)
            answer = self.server.answer(request)
            if callable(answer):
                answer(self.connection)
                return
            self.connection.sendall(answer)

    def _read(self) -> Request | None:
        start = self.rfile.readline().decode("ascii")
        if not start.strip():
            return None
        method, target, _ = start.split(" ")
        headers = []
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        return Request(method, target, headers, self.client_address[1])


@contextmanager
def serving(
    answer: bytes | Callable[[Request], Answer], tls: ssl.SSLContext | None = None
) -> Iterator[WireServer]:
    """A server that gives one answer, or what a function of the request returns."""
    with WireServer((lambda _: answer) if isinstance(answer, bytes) else answer, tls) as server:
        # A short poll, because the end of each test waits for it.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def response(
    body: bytes | list[Any] | dict[str, Any] = DOCUMENTED,
    status: int = 200,
    headers: dict[str, str] | None = None,
    content_type: str = "application/json",
) -> bytes:
    """A whole HTTP response."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"Content-Type": content_type, "Content-Length": str(len(content)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def named_after_its_question(request: Request) -> bytes:
    """A coin whose name is N and the request's recvWindow."""
    name = dict(request.query)["recvWindow"].encode()
    return response(DOCUMENTED.replace(b"ETH", b"N" + name))
