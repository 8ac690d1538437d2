"""A call returns exact coins or raises an error of this package, whatever the answer."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from binance_small_liability import Coin, SmallLiabilityError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import ListCoins, list_coins_async, list_coins_sync
from tests.wire import Answer, response, serving
from tools.operations import LIST_COINS

# Other tests measure coverage: it would double the time of these.
pytestmark = pytest.mark.no_cover

# Seconds; enough if no answer may arrive.
QUICK = {"max_attempts": 1, "timeout": 1.0}
both_clients = pytest.mark.parametrize("list_coins", [list_coins_sync, list_coins_async])
thorough = settings(
    max_examples=60,
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


@both_clients
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


@both_clients
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


_digits = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?", fullmatch=True)
_json_numbers = st.builds(
    "{}{}".format, _digits, st.sampled_from(["", "e5", "E-8", "e+20", "E0", "e-999"])
)
_decimal_strings = _digits.map('"{}"'.format)
_names = st.text(min_size=1, max_size=12)
[_DOCUMENTED] = LIST_COINS.example
# JSON texts; what else a coin has is as documented.
_coins = st.lists(
    st.fixed_dictionaries(
        {
            **{
                name: st.just(json.dumps(value, default=float))
                for name, value in _DOCUMENTED.items()
            },
            "asset": _names.map(json.dumps),
            "interest": _decimal_strings,
            "principal": _decimal_strings,
            "liabilityAsset": _names.map(lambda name: json.dumps(name, ensure_ascii=False)),
            "liabilityQty": _json_numbers | _decimal_strings,
        },
        optional={"somethingNew": st.sampled_from(["null", '{"a": [1e400]}', '"x"'])},
    ),
    max_size=5,
)


@both_clients
@given(coins=_coins)
@thorough
def test_coins_are_read_as_they_were_written(
    server: Server, list_coins: ListCoins, coins: list[dict[str, str]]
) -> None:
    objects = [
        "{" + ",".join(f'"{name}":{text}' for name, text in coin.items()) + "}" for coin in coins
    ]
    server.answer = response(f"[{','.join(objects)}]".encode(errors="surrogatepass"))
    for got, written in zip(list_coins(base_url=server.url), coins, strict=True):
        for name in ("asset", "liability_asset"):
            assert getattr(got, name) == json.loads(written[_camel(name)])
        for name in ("principal", "interest", "liability_qty"):
            exact = Decimal(written[_camel(name)].strip('"'))
            assert getattr(got, name).as_tuple() == exact.as_tuple()


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
