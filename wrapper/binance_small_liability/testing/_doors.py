"""The ways in: within the process, and over a socket."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio.to_thread
import httpx

Handle = Callable[[httpx.Request], httpx.Response]


class InProcess(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that hands requests to a function, in either kind of httpx client."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._handle(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        # In a thread, because a delay must not hold up the event loop.
        return await anyio.to_thread.run_sync(self._handle, request)


@contextmanager
def serving(handle: Handle, port: int) -> Iterator[str]:
    """Serves a function at a loopback port, 0 for any free one; gives the URL."""
    server = _Server(handle, port)
    # A short poll, since closing waits for it.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, handle: Handle, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.handle = handle
        self.connections: set[socket.socket] = set()

    def hang_up(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: clients that give up are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def __getattr__(self, name: str) -> Any:
        # The base class looks for a method of its own for each of HTTP's.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def _answer(self) -> None:
        # No request of the contract has a body; one in chunks is not read.
        self.close_connection |= "Transfer-Encoding" in self.headers
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal():
            self.send_error(400)
            return
        request = httpx.Request(
            self.command,
            "http://127.0.0.1/",
            headers=[(k.encode("latin-1"), v.encode("latin-1")) for k, v in self.headers.items()],
            content=self.rfile.read(int(length)),
            # httpx.URL would tidy the target up; what was signed are the bytes that were sent.
            extensions={"target": self.path.encode("latin-1")},
        )
        try:
            response = self.server.handle(request)
        except httpx.TransportError:
            self.close_connection = True
            return
        self.send_response(response.status_code, response.reason_phrase)
        for name, value in response.headers.raw:
            if name.lower() != b"content-length":
                self.send_header(name.decode("latin-1"), value.decode("latin-1"))
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.content)
