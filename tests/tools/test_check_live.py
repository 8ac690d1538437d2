"""`make check-live URL=` compares a service with the contract, only reads, and prints no secret."""

import dataclasses
from collections.abc import Callable
from types import ModuleType

import httpx
import pytest
from binance_small_liability.testing import FakeBinance

from tests.conftest import API_KEY, API_SECRET
from tests.wire import Request, response, serving
from tools.contract import LIST_PATH, TIME_PATH, examples, today
from tools.operations import EXCHANGE, OPERATIONS, Operation

Run = Callable[..., tuple[int, list[str], list[Request]]]
_WEIGHT = {"X-SAPI-USED-IP-WEIGHT-1M": "100"}
_READS = [operation for operation in OPERATIONS if operation.method == "GET"]
_PATHS = [*(read.path for read in _READS), TIME_PATH]
_TIME = response({"serverTime": 1499827319559})


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
def run(
    check_live: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs it against a service; returns the exit code, the printed lines and the requests."""
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", API_SECRET)
    documented = {read.path: _documented(read) for read in _READS}

    def against(coins: bytes, time: bytes = _TIME) -> tuple[int, list[str], list[Request]]:
        answers = {**documented, LIST_PATH: coins, TIME_PATH: time}
        with serving(lambda sent: answers[sent.path]) as server:
            status = check_live.main(server.url)
        said = "".join(capfd.readouterr())
        queries = [dict(sent.query) for sent in server.requests]
        signatures = [query["signature"] for query in queries if "signature" in query]
        assert len(signatures) == len(_READS)
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
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    secret: str,
    status: int,
) -> None:
    fake = FakeBinance(api_key=API_KEY, api_secret=secret)
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", API_SECRET)
    with fake.serve() as url:
        assert check_live.main(url) == status
    assert ("AuthenticationError: HTTP 400, code -1022" in capsys.readouterr().out) == status
    assert [each.path for each in fake.requests] == _PATHS


@pytest.mark.parametrize(
    ("coins", "words"),
    [
        (response([{"asset": 1}], headers=_WEIGHT), '1 is not of type "string": Schema at /'),
        (response([{"asset": 1}], headers=_WEIGHT), "ContractError: The answer breaks"),
        (response(), "200: header X-SAPI-USED-IP-WEIGHT-1M: missing"),
        (response(headers={"X-SAPI-USED-IP-WEIGHT-1M": "x"}), '"x" is not of type "integer"'),
        (response(headers=_WEIGHT, content_type="text/plain"), "Content-Type"),
        (response(status=299, headers=_WEIGHT), "299: Undocumented status code"),
        (response({"code": -2015, "msg": API_KEY}, 401, _WEIGHT), "AuthenticationError: HTTP 401"),
        (response({"code": "-2015", "msg": "No."}, 401, _WEIGHT), "401: Response violates schema"),
        (response({"code": API_KEY, "msg": "No."}, 401, _WEIGHT), "401: Response violates schema"),
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
    check_live: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", API_SECRET)
    with serving(_TIME) as server:
        url = server.url
    assert check_live.main(url) == 1
    assert capsys.readouterr().out.count("ConnectError") == len(_PATHS)


def test_without_credentials_nothing_is_sent(
    check_live: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    with serving(_TIME) as server:
        assert check_live.main(server.url) == 2
    assert server.requests == []
    assert "BINANCE_API_KEY" in capsys.readouterr().err


def test_a_post_is_never_sent(check_live: ModuleType) -> None:
    with serving(response()) as server:
        recorder = check_live.Recorder()
        with httpx.Client(transport=recorder) as client, pytest.raises(httpx.ConnectError):
            client.post(server.url + LIST_PATH)
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
