"""A call returns exact coins or raises an error of this package, whatever the answer."""

import json
from contextlib import suppress

import pytest
from binance_small_liability import SmallLiabilityError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.clients import RunClient, run_async, run_sync
from tests.wire import closed, serving
from tools.operations import LIST_COINS

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


def _response(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


_headers = st.dictionaries(_header_names, _header_values, max_size=4)
_responses = st.builds(_response, st.integers(200, 999), _headers, _bodies)


@pytest.mark.parametrize("client", [run_sync, run_async])
def test_any_answer_is_a_result_or_an_error_of_this_package(client: RunClient) -> None:
    @given(answer=_http_bytes | _responses)
    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @example(answer=_response(200, {"Set-Cookie": "x; expires=\xff"}, b"[]"))
    def check(answer: bytes) -> None:
        with serving(lambda _: closed(answer)) as server, suppress(SmallLiabilityError):
            # A short timeout, because no answer may arrive.
            coins = client(LIST_COINS.call, base_url=server.url, max_attempts=1, timeout=1)
            assert isinstance(coins, list)

    check()
