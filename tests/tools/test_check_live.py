"""`make check-live URL=` compares a service with the contract, only reads, and prints no secret."""

import asyncio
import contextlib
import dataclasses
import gzip
import runpy
import socket
import sys
import time
from collections.abc import Callable
from types import ModuleType

import httpx
import pytest
from binance_small_liability._io import network
from binance_small_liability.testing import FakeBinance

from tests.conftest import API_KEY, API_SECRET
from tests.wire import Answer, Request, response, serving
from tools.contract import LIST_PATH, TIME_PATH, examples, today
from tools.operations import EXCHANGE, LIST_COINS, OPERATIONS, Operation

Run = Callable[..., tuple[int, list[str], list[Request]]]
_USED = str(LIST_COINS.generated.weight_header)
_WEIGHT = {_USED: "100"}
_READS = [operation for operation in OPERATIONS if operation.method == "GET"]
_PATHS = [*(read.path for read in _READS), TIME_PATH]
_TIME = response({"serverTime": 1499827319559})


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", API_SECRET)


@pytest.fixture(scope="module")
def check_live() -> ModuleType:
    # It imports schemathesis, which takes 1 s, so not every process of xdist does it.
    from tools import check_live

    return check_live


def _documented(read: Operation) -> bytes:
    """The first documented answer."""
    first = next(examples(today(), read.method, read.path))
    return response(read.body, headers={name: str(each) for name, each in first.headers.items()})


@pytest.fixture
def run(check_live: ModuleType, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs it against a service; returns the exit code, the printed lines and the requests."""
    documented = {read.path: _documented(read) for read in _READS}

    def against(coins: Answer, time: bytes = _TIME) -> tuple[int, list[str], list[Request]]:
        answers: dict[str, Answer] = {**documented, LIST_PATH: coins, TIME_PATH: time}
        with serving(lambda sent: answers[sent.path]) as server:
            status = check_live.main(server.url)
        said = "".join(capfd.readouterr())
        queries = [dict(sent.query) for sent in server.requests]
        signatures = [query["signature"] for query in queries if "signature" in query]
        assert len(signatures) == sum(read.generated.signed for read in _READS)
        for secret in (API_KEY, API_SECRET, *signatures):
            # No part of the secret is printed.
            assert secret[:32] not in said
        return status, said.splitlines(), server.requests

    return against


def test_a_service_that_keeps_the_contract(run: Run) -> None:
    status, said, sent = run(response(headers=_WEIGHT))
    assert status == 0
    assert said == [f"{path}: 200, as documented" for path in _PATHS]
    assert [each.path for each in sent] == _PATHS


@pytest.mark.parametrize(("secret", "status"), [(API_SECRET, 0), ("another", 1)])
def test_the_fake_keeps_the_contract_and_refuses_wrong_signatures(
    check_live: ModuleType,
    capsys: pytest.CaptureFixture[str],
    secret: str,
    status: int,
) -> None:
    fake = FakeBinance(api_key=API_KEY, api_secret=secret)
    with fake.serve() as url:
        assert check_live.main(url) == status
    assert ("AuthenticationError: HTTP 400, code -1022" in capsys.readouterr().out) == status
    assert [each.path for each in fake.requests] == _PATHS


@pytest.mark.parametrize(
    ("coins", "words"),
    [
        (response([{"asset": 1}], headers=_WEIGHT), '1 is not of type "string": Schema at /'),
        (response([{"asset": 1}], headers=_WEIGHT), "ContractError: The response breaks"),
        (response(), f"200: header {_USED}: missing"),
        (response(headers={_USED: "x"}), '"x" is not of type "integer"'),
        (response(headers=_WEIGHT, content_type="text/plain"), "Content-Type"),
        (response(status=299, headers=_WEIGHT), "299: Undocumented status code"),
        (response({"code": -2015, "msg": API_KEY}, 401, _WEIGHT), "AuthenticationError: HTTP 401"),
        (
            response({"code": f"The key is {API_KEY}", "msg": "No."}, 401, _WEIGHT),
            "401: Response violates schema",
        ),
    ],
)
def test_a_service_that_breaks_the_contract(run: Run, coins: bytes, words: str) -> None:
    status, said, _ = run(coins)
    assert status == 1
    assert any(line.startswith("BREAKS: ") and words in line for line in said), said


def test_a_time_that_breaks_the_contract(run: Run) -> None:
    status, said, _ = run(response(headers=_WEIGHT), response({"now": 1}))
    assert status == 1
    assert any('"serverTime" is a required property' in line for line in said)


def test_a_wrong_clock_costs_no_further_request(run: Run) -> None:
    status, said, sent = run(response({"code": -1021, "msg": "Late."}, 400, _WEIGHT))
    assert status == 1
    assert sorted(each.path for each in sent) == sorted(_PATHS)
    assert any(f"no more than {len(_PATHS)} requests" in line for line in said)


def test_an_address_without_a_service(
    check_live: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(_TIME) as server:
        url = server.url
    assert check_live.main(url) == 1
    assert capsys.readouterr().out.count("ConnectError") == len(_PATHS)


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _endless(connection: socket.socket) -> None:
    connection.sendall(_HEAD + b"\r\n")
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b" " * 2**16)


def _dripping(start: bytes) -> Callable[[socket.socket], None]:
    def act(connection: socket.socket) -> None:
        connection.sendall(start)
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x")
                time.sleep(0.01)

    return act


@pytest.mark.parametrize(
    ("coins", "words"),
    [
        (_endless, "ReadError: the response is larger than 10 MiB"),
        (_dripping(_HEAD + b"\r\n["), "no complete response in 1 s"),
        (_dripping(_HEAD + b"X-Header: "), "no complete response in 1 s"),
        (
            response(gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"}),
            "the response is encoded with gzip, which was not requested",
        ),
        (response(b"[" * 100_000, headers=_WEIGHT), "200: "),
        (response(b"[" + b"{}," * 400_000 + b"{}]"), "200: the body is larger than 1 MiB"),
        (response(["\x1b[31m\x9b\u202e"], headers=_WEIGHT), r"\x9b\u202e"),
    ],
)
def test_a_hostile_service(
    run: Run, check_live: ModuleType, monkeypatch: pytest.MonkeyPatch, coins: Answer, words: str
) -> None:
    monkeypatch.setattr(check_live, "MOST_SECONDS", 1)
    status, said, sent = run(coins)
    assert status == 1
    assert any(line.startswith("BREAKS: ") and words in line for line in said), said
    assert all(line.isprintable() for line in said)
    assert len(sent) == len(_PATHS)


def test_the_proxy_of_the_environment_is_used_and_its_password_is_hidden(
    check_live: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    password, header = "p@ss", "dXNlcjpwQHNz"
    with serving(response({"code": -1000, "msg": f"{password} {header}"}, 400)) as proxy:
        url = proxy.url.replace("//", "//user:p%40ss@")
        monkeypatch.setenv("BINANCE_PROXY", url)
        assert check_live.main("http://127.0.0.1:9") == 1
    assert [each.path for each in proxy.requests] == [f"http://127.0.0.1:9{it}" for it in _PATHS]
    assert {each.header("Proxy-Authorization") for each in proxy.requests} == {f"Basic {header}"}
    said = capsys.readouterr().out
    assert "[hidden]" in said
    assert not any(secret in said for secret in (password, header))


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("BINANCE_PROXY", "ftp://proxy", "BINANCE_PROXY is not a proxy"),
        ("SSL_CERT_FILE", "/nope", "SSL_CERT_FILE names /nope, which cannot be read"),
    ],
)
def test_with_wrong_options_nothing_is_sent(
    check_live: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    words: str,
) -> None:
    network.tls.cache_clear()
    monkeypatch.setenv(variable, value)
    with serving(_TIME) as server:
        monkeypatch.setattr(sys, "argv", ["check_live", server.url])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(check_live.__file__), run_name="__main__")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert server.requests == []


def test_a_post_is_never_sent(check_live: ModuleType) -> None:
    with serving(response()) as server:
        recorder = check_live.Recorder()

        async def post() -> None:
            async with httpx.AsyncClient(transport=recorder) as client:
                await client.post(server.url + LIST_PATH)

        with pytest.raises(httpx.ConnectError):
            asyncio.run(post())
    assert server.requests == []


def test_only_reads_are_called(
    run: Run, check_live: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(_: object) -> None:
        pytest.fail("the exchange was called")

    post = dataclasses.replace(EXCHANGE, call=call)
    monkeypatch.setattr(check_live, "OPERATIONS", (*_READS, post))
    status, _, sent = run(response(headers=_WEIGHT))
    assert status == 0
    assert {each.method for each in sent} == {"GET"}
