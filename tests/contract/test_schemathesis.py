"""schemathesis checks both servers against the contract with valid and invalid requests.

Importing it takes 1 s, so only the tests that need it do it, not every process of xdist.
"""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from binance_small_liability.testing import FakeBinance
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from tests.fake.boundless import Boundless
from tools.contract import LIST_PATH, OPENAPI_YAML, ROOT, operations, today

_ST = Path(sys.executable).parent / "st"
_FAKE_CONFIG = ROOT / "tests/contract/schemathesis_fake.toml"
_PRISM_CONFIG = ROOT / "tests/contract/schemathesis.toml"
_OPERATIONS = list(operations(today()))


def _run(folder: Path, config: Path, url: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [_ST, "--config-file", config, "run", OPENAPI_YAML, "--url", url],
        env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_prism_keeps_the_contract(prism_url: str, tmp_path: Path) -> None:
    done = _run(tmp_path, _PRISM_CONFIG, prism_url, MOCK_API_KEY="key")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {len(_OPERATIONS)}" in done.stdout


@pytest.fixture(scope="module")
def fake() -> FakeBinance:
    """One account sends hundreds of requests."""
    return Boundless()


def test_the_fake_keeps_the_contract(fake: FakeBinance, tmp_path: Path) -> None:
    with fake.serve() as url:
        done = _run(tmp_path, _FAKE_CONFIG, url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {len(_OPERATIONS)}" in done.stdout
    assert {received.status for received in fake.requests} == {200, 400, 401, 404, 405}


class _InProcess(HTTPAdapter):
    """Hands the requests of `requests` to the fake."""

    def __init__(self, fake: FakeBinance) -> None:
        super().__init__()
        self._fake = fake

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        answer = self._fake.handle(
            httpx.Request(
                str(request.method),
                str(request.url),
                headers=[(k, str(v)) for k, v in request.headers.items()],
                extensions={"target": request.path_url.encode()},
            )
        )
        raw = HTTPResponse(
            body=io.BytesIO(answer.content),
            headers=answer.headers,
            status=answer.status_code,
            preload_content=False,
        )
        return self.build_response(request, raw)


def _schema(config: Path) -> Any:
    import schemathesis

    loaded = schemathesis.Config.from_path(config)
    return schemathesis.openapi.from_path(OPENAPI_YAML, config=loaded)


@pytest.fixture(scope="module")
def schema() -> Any:
    return _schema(_FAKE_CONFIG)


def _assert_reported(schema: Any, url: str, session: requests.Session, refusal: str) -> None:
    """A failure is reported if the answer to a valid request is `refusal`."""
    from schemathesis.core.failures import FailureGroup
    from schemathesis.generation import GenerationMode

    @settings(max_examples=1, derandomize=True, deadline=None, database=None)
    @given(case=schema[LIST_PATH]["GET"].as_strategy(GenerationMode.POSITIVE))
    def check(case: Any) -> None:
        answer = case.call(base_url=url, session=session)
        assert refusal in answer.text
        with pytest.raises(FailureGroup) as caught:
            case.validate_response(answer)
        assert "Schema-valid request rejected" in "".join(map(str, caught.value.exceptions))

    check()


def test_refusals_of_prism_are_reported(prism_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this report, the run above could pass although Prism refuses every request."""
    monkeypatch.setenv("MOCK_API_KEY", "")
    with requests.Session() as session:
        _assert_reported(_schema(_PRISM_CONFIG), prism_url, session, "-2014")


def test_wrong_signatures_are_reported(schema: Any) -> None:
    with requests.Session() as session:
        session.mount("http://", _InProcess(FakeBinance(api_secret="another")))
        _assert_reported(schema, "http://fake", session, "-1022")


# schemathesis's own parametrization gives all operations one node id, and xdist runs only one test
# of each node id.
@pytest.mark.parametrize(("method", "path"), _OPERATIONS)
def test_the_fake_keeps_the_contract_in_process(
    method: str, path: str, schema: Any, fake: FakeBinance
) -> None:
    import schemathesis
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi.checks import ignored_auth

    operation = schema[path][method]
    statuses = set()

    @settings(max_examples=30, derandomize=True, deadline=None, database=None)
    @given(case=st.one_of(*map(operation.as_strategy, GenerationMode)))
    def keeps_the_contract(case: schemathesis.Case[Any]) -> None:
        with requests.Session() as session:
            session.mount("http://", _InProcess(fake))
            # This check opens its own connections, so it runs only over the socket.
            answer = case.call_and_validate(
                base_url="http://fake", session=session, excluded_checks=[ignored_auth]
            )
        statuses.add(answer.status_code)

    keeps_the_contract()
    # An operation without parameters has no invalid requests.
    assert statuses >= ({200, 400} if operation.query else {200})


def test_each_operation_has_its_own_test() -> None:
    [mark] = test_the_fake_keeps_the_contract_in_process.pytestmark
    assert len(set(mark.args[1])) == len(list(operations(today())))
