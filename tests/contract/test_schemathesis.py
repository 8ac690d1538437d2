"""schemathesis holds both servers to the contract: all phases, valid and invalid requests."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from binance_small_liability.testing import FakeBinance
from hypothesis import settings
from requests.adapters import HTTPAdapter
from schemathesis.specs.openapi.checks import ignored_auth
from urllib3 import HTTPResponse

from tools.contract import OPENAPI_YAML, ROOT

_ST = Path(sys.executable).parent / "st"
_FAKE_CONFIG = ROOT / "tests/contract/schemathesis_fake.toml"
# Enough where it is to fail.
_ONE_FAILURE = ("--phases=coverage", "--max-failures=1")
_PRISM_CONFIG = ROOT / "tests/contract/schemathesis.toml"


def _run(
    folder: Path, config: Path, url: str, *options: str, **env: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [_ST, "--config-file", config, "run", OPENAPI_YAML, "--url", url, *options],
        env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_prism_keeps_the_contract(prism_url: str, tmp_path: Path) -> None:
    done = _run(tmp_path, _PRISM_CONFIG, prism_url, MOCK_API_KEY="key")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 2" in done.stdout


def test_without_credentials_it_fails(prism_url: str, tmp_path: Path) -> None:
    """So a pass is not made of refusals."""
    done = _run(tmp_path, _PRISM_CONFIG, prism_url, *_ONE_FAILURE, MOCK_API_KEY="")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Schema-valid request rejected" in done.stdout


@pytest.fixture(scope="module")
def fake() -> FakeBinance:
    """A patient one, since hundreds of requests come from one address."""
    fake = FakeBinance()
    fake.weight_limit = sys.maxsize
    return fake


def test_the_fake_keeps_the_contract(fake: FakeBinance, tmp_path: Path) -> None:
    with fake.serve() as url:
        done = _run(tmp_path, _FAKE_CONFIG, url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 2" in done.stdout
    assert {received.status for received in fake.requests} == {200, 400, 401, 404, 405}


def test_wrongly_signed_it_fails(fake: FakeBinance, tmp_path: Path) -> None:
    with fake.serve() as url:
        done = _run(tmp_path, _FAKE_CONFIG, url, *_ONE_FAILURE, FAKE_API_SECRET="no")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Schema-valid request rejected" in done.stdout
    assert "-1022" in done.stdout


class _InProcess(HTTPAdapter):
    """Brings what requests would send to the fake."""

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


schema = schemathesis.openapi.from_path(
    OPENAPI_YAML, config=schemathesis.Config.from_path(_FAKE_CONFIG)
)


@pytest.fixture(scope="module")
def statuses() -> Iterator[set[int | None]]:
    """What the requests in process were answered with."""
    seen: set[int | None] = set()
    yield seen
    assert seen >= {200, 400, 401, 405}, "some must be accepted and some refused"


@schema.parametrize()
@settings(max_examples=60, derandomize=True, deadline=None)
def test_the_fake_keeps_the_contract_in_process(
    case: schemathesis.Case[Any], fake: FakeBinance, statuses: set[int | None]
) -> None:
    with requests.Session() as session:
        session.mount("http://", _InProcess(fake))
        # This check opens connections of its own, so it runs over the socket alone.
        excluded = [ignored_auth]
        case.call_and_validate(base_url="http://fake", session=session, excluded_checks=excluded)
    statuses.add(fake.requests[-1].status)
