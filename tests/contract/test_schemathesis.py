"""schemathesis checks both servers against the contract with valid and invalid requests.

Importing it takes 1 s, so only the tests that need it do it, not every process of xdist.
"""

from pathlib import Path
from typing import Any

import pytest
from binance_small_liability.testing import FakeBinance
from click.testing import CliRunner
from hypothesis import given, settings

from tests.fake.boundless import Boundless
from tools.check_generated import PACKAGE
from tools.contract import LIST_PATH, ROOT, operations, today

# Reading YAML takes 2 s longer.
_CONTRACT = PACKAGE / "openapi.json"
_FAKE_CONFIG = ROOT / "tests/contract/schemathesis_fake.toml"
_PRISM_CONFIG = ROOT / "tests/contract/schemathesis.toml"


def _run(config: Path, url: str) -> None:
    from schemathesis.cli import schemathesis

    command = ("--config-file", str(config), "run", str(_CONTRACT), "--url", url)
    done = CliRunner().invoke(schemathesis, command)
    assert done.exit_code == 0, done.output
    assert f"Tested: {len(list(operations(today())))}" in done.output


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command writes into the current folder."""
    monkeypatch.chdir(tmp_path)


def test_prism_keeps_the_contract(prism_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_API_KEY", "key")
    _run(_PRISM_CONFIG, prism_url)


def test_the_fake_keeps_the_contract() -> None:
    fake = Boundless()
    with fake.serve() as url:
        _run(_FAKE_CONFIG, url)
    assert {received.status for received in fake.requests} == {200, 400, 401, 404, 405}


@pytest.mark.parametrize(
    ("config", "code"), [(_PRISM_CONFIG, "-2014"), (_FAKE_CONFIG, "-1022")], ids=["Prism", "fake"]
)
def test_refusals_are_reported(
    config: Path, code: str, prism_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this report, the runs above could pass although a server refuses every request."""
    import schemathesis
    from schemathesis.core.failures import FailureGroup
    from schemathesis.generation import GenerationMode

    monkeypatch.setenv("MOCK_API_KEY", "")
    loaded = schemathesis.Config.from_path(config)
    operation = schemathesis.openapi.from_path(_CONTRACT, config=loaded)[LIST_PATH]["GET"]

    @settings(max_examples=1, derandomize=True, deadline=None, database=None)
    @given(case=operation.as_strategy(GenerationMode.POSITIVE))
    def check(case: schemathesis.Case[Any]) -> None:
        answer = case.call(base_url=fake_url if config == _FAKE_CONFIG else prism_url)
        assert code in answer.text
        with pytest.raises(FailureGroup) as caught:
            case.validate_response(answer)
        assert "Schema-valid request rejected" in "".join(map(str, caught.value.exceptions))

    with FakeBinance(api_secret="another").serve() as fake_url:
        check()
