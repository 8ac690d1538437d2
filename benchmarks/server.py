"""A server on loopback that does next to nothing, so that the clients are what is measured."""

import asyncio
import json
import sys
from functools import partial

DOCUMENTED = {
    "asset": "ETH",
    "interest": "0.00083334",
    "principal": "0.001",
    "liabilityAsset": "USDT",
    "liabilityQty": 0.3552,
}
SIZES = (1, 10, 100, 1000)

_REQUEST_LINE = b"GET /sapi/v1/margin/exchange-small-liability?"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_BACKLOG = 2048


def body(coins: int) -> bytes:
    """A list of `coins` coins as Binance writes it; the first is the documented example."""
    made = [
        {
            "asset": f"COIN{number}",
            "interest": f"0.{number:08}",
            "principal": f"{number}.{number:08}",
            "liabilityAsset": "USDT",
            "liabilityQty": number / 10_000,
        }
        for number in range(1, coins)
    ]
    return json.dumps([DOCUMENTED, *made], separators=(",", ":")).encode()


def _response(coins: int) -> bytes:
    content = body(coins)
    head = (
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json;charset=UTF-8\r\n"
        "X-SAPI-USED-IP-WEIGHT-1M: 100\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class _Connection(asyncio.Protocol):
    """Answers every signed request for the list with the same bytes, and any other with a 404."""

    def __init__(self, response: bytes) -> None:
        self._response = response
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in heads:
            fits = head.startswith(_REQUEST_LINE) and b"&signature=" in head
            self._transport.write(self._response if fits else _NOT_FOUND)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    ports = {}
    for coins in SIZES:
        connection = partial(_Connection, _response(coins))
        server = await loop.create_server(connection, "127.0.0.1", 0, backlog=_BACKLOG)
        ports[coins] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    # Whoever started this process ends it by closing its standard input.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
