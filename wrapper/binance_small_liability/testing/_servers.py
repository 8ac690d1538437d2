"""How clients reach the fake: within the process, and over a socket."""

import atexit
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio.to_thread
import httpx

from binance_small_liability._io import real_time

_EVERY = "0.0.0.0"  # noqa: S104 - only callers choose it
_MOST_BYTES = 64 * 1024  # of the headers of a request, and of its body
_LONGEST_LENGTH = 18  # digits
_MOST_REFUSED = 1024 * 1024  # bytes that are read of a body that is refused

# Waits for a number of seconds. Raises httpx.TransportError if the client gives up earlier.
Wait = Callable[[float], None]
Handle = Callable[[httpx.Request, Wait], httpx.Response]


class InProcess(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that hands requests to a function, in either kind of httpx client."""

    def __init__(self, handle: Callable[[httpx.Request], httpx.Response]) -> None:
        self._handle = handle

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._handle(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        # In a thread, because a delay must not block the event loop.
        return await anyio.to_thread.run_sync(self._handle, request)


def patience(request: httpx.Request) -> Wait:
    """Waits at most for the request's own timeout, which no socket enforces in the process."""
    longest = request.extensions.get("timeout", {}).get("read")

    def wait(seconds: float) -> None:
        if longest is not None and seconds > longest:
            real_time.sleep(longest)
            raise httpx.ReadTimeout("The answer did not arrive in time", request=request)
        real_time.sleep(seconds)

    return wait


class Serving:
    """Serves a function at a port, 0 for any free one; `with` gives the URL.

    It ends with the block, or with the Python process if the block is never left.
    """

    def __init__(self, handle: Handle, host: str, port: int) -> None:
        self._handle = handle
        self._address = host, port
        self._server: _Server | None = None

    def __enter__(self) -> str:
        self._server = server = _Server(self._handle, self._address)
        # A short poll, because closing waits for it.
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        # Not later: while Python (at least 3.13) finalizes, daemon threads are frozen, and joining
        # one never ends.
        atexit.register(self._close)
        # Every address of this machine has its name.
        host = socket.gethostname() if self._address[0] == _EVERY else self._address[0]
        return f"http://{host}:{server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        atexit.unregister(self._close)
        self._close()

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if self._thread.is_alive():  # a forked process has no thread, but shares the connections
            server.shutdown()
            self._thread.join()
            server.hang_up()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, handle: Handle, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.handle = handle
        self.connections: set[socket.socket] = set()
        # Those that wait for a request, the longest wait first.
        self.idle: dict[socket.socket, None] = {}

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts a connection. An idle one makes room if the descriptors are exhausted."""
        try:
            return super().get_request()
        except OSError:
            for connection in list(self.idle)[:1]:
                _end(connection)
            time.sleep(0.01)  # otherwise this would be tried all the time
            raise

    def hang_up(self) -> None:
        for connection in list(self.connections):
            _end(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs nothing: tests make clients give up on purpose."""


def _end(connection: socket.socket) -> None:
    # Its thread closes it.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds without a byte
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body are sent together

    def __getattr__(self, name: str) -> Any:
        # The base class looks for one attribute per HTTP method, such as do_GET.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        self.server.idle.pop(self.connection, None)
        super().finish()

    def handle_one_request(self) -> None:
        self.server.idle[self.connection] = None
        super().handle_one_request()

    def parse_request(self) -> bool:
        self.server.idle.pop(self.connection, None)
        if not super().parse_request():
            return False
        fits = sum(len(name) + len(value) for name, value in self.headers.items()) <= _MOST_BYTES
        if not fits:
            self.send_error(431)
        return fits

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""

    def _answer(self) -> None:
        # No request of the contract has a body; one in chunks is not read.
        self.close_connection |= "Transfer-Encoding" in self.headers
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or len(length) > _LONGEST_LENGTH:
            self.send_error(400)
            return
        if int(length) > _MOST_BYTES:
            self.send_error(413)
            # A client that still sends its body would not read the answer.
            self.rfile.read(min(int(length), _MOST_REFUSED))
            return
        request = httpx.Request(
            self.command,
            "http://127.0.0.1/",
            headers=[(k.encode("latin-1"), v.encode("latin-1")) for k, v in self.headers.items()],
            content=self.rfile.read(int(length)),
            # httpx.URL would normalize the target, but the bytes that were sent are signed.
            extensions={"target": self.path.encode("latin-1")},
        )
        try:
            response = self.server.handle(request, self._wait)
        except httpx.TransportError:
            self.close_connection = True
            return
        self._send(response)

    def _send(self, response: httpx.Response) -> None:
        # `send_response` would add a second Date.
        self.send_response_only(response.status_code, response.reason_phrase)
        for name, value in response.headers.raw:
            if name.lower() != b"content-length":
                self.send_header(name.decode("latin-1"), value.decode("latin-1"))
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.content)

    def _wait(self, seconds: float) -> None:
        # In real time, because the client's socket waits in real time.
        time.sleep(seconds)
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            readable = selector.select(timeout=0)
        try:
            gone = bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            gone = True
        if gone:
            raise httpx.ReadError("The client closed the connection")
