"""A call returns exact coins or raises an error of this package, whatever the answer."""

import json
from collections.abc import Iterator

import pytest
from binance_small_liability import Coin, SmallLiabilityError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import ListCoins
from tests.wire import Answer, serving
from tools.operations import LIST_COINS

# Other tests measure coverage: it would double the time of these.
pytestmark = pytest.mark.no_cover

# Seconds; enough if no answer may arrive.
QUICK = {"max_attempts": 1, "timeout": 1.0}
thorough = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Server:
    """A server whose next answer can be set."""

    def __init__(self) -> None:
        self.answer: Answer = b""
        self.url = ""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    with serving(lambda _: server.answer) as wire:
        server.url = wire.url
        yield server


def _outcome(list_coins: ListCoins, url: str) -> list[Coin] | SmallLiabilityError:
    try:
        return list_coins(base_url=url, **QUICK)
    except SmallLiabilityError as error:
        return error


def _sent_and_closed(content: bytes) -> Answer:
    return lambda connection: connection.sendall(content)


# Bytes that resemble HTTP enough to be parsed in part.
_http_bytes = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 403\r\n", b"HTTP/1.1 999 X\r\n"),
                *(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n"),
                *(b"Content-Length: 2\r\n", b"Content-Length: -1\r\n"),
                *(b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n"),
                b"Content-Type: application/json; charset=klingon\r\n",
                b"Set-Cookie: a=b; Max-Age=x; Domain=\xff\r\n",
                *(b"Location: http://[\r\n", b"Retry-After: \xff\r\n", b"\r\n", b"[]"),
                *(b"Transfer-Encoding: chunked\r\n", b"2\r\n[]\r\n0\r\n\r\n"),
            ]
        ),
        st.binary(max_size=20),
    ),
    max_size=8,
).map(b"".join)


@given(content=_http_bytes)
@thorough
def test_any_bytes(server: Server, list_coins: ListCoins, content: bytes) -> None:
    server.answer = _sent_and_closed(content)
    outcome = _outcome(list_coins, server.url)
    assert isinstance(outcome, SmallLiabilityError) or outcome == []


_header_names = st.one_of(
    st.sampled_from(["Retry-After", "Location", "Set-Cookie", "Content-Encoding", "Content-Type"]),
    st.sampled_from([str(LIST_COINS.generated.weight_header), "Date", "WWW-Authenticate"]),
    st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True),
).filter(lambda name: name.lower() not in ("content-length", "transfer-encoding", "connection"))
_header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=30)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*LIST_COINS.example[0], "code", "msg", "x"]),
            inner,
        )
    ),
    max_leaves=15,
)
_bodies = st.binary(max_size=50) | _json.map(lambda value: json.dumps(value).encode())


@given(
    status=st.integers(200, 999),
    headers=st.dictionaries(_header_names, _header_values, max_size=4),
    body=_bodies,
)
@thorough
@example(status=200, headers={"Set-Cookie": "x; expires=\xff"}, body=b"[]")
def test_any_status_headers_and_body(
    server: Server, list_coins: ListCoins, status: int, headers: dict[str, str], body: bytes
) -> None:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    server.answer = _sent_and_closed("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    outcome = _outcome(list_coins, server.url)
    assert isinstance(outcome, list | SmallLiabilityError)
