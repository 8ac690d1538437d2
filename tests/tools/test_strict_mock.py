"""`make mock STRICT=1` serves until it is stopped, and `make demo` shows the main job."""

import os
import re
import runpy
import signal
import sys
from pathlib import Path

import httpx
import pytest
from binance_small_liability.testing import FakeBinance

from tests.cli.command import Captured, succeeds
from tests.conftest import running
from tools.contract import ROOT


@pytest.mark.usefixtures("fake_binance_env")  # it restores what --env-file sets
def test_the_strict_mock_prints_an_env_file_and_serves_until_it_is_interrupted(
    capsys: Captured, tmp_path: Path
) -> None:
    with running(sys.executable, "-m", "tools.strict_mock", "0", cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        file = tmp_path / "mock.env"
        file.write_text("".join(process.stdout.readline() for _ in range(4)))
        assert "ETH\t" in succeeds(capsys, "list", "--env-file", str(file))
        url = os.environ["BINANCE_BASE_URL"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_the_demo_says_what_it_does_and_what_to_try_next(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeBinance(api_key="demo", api_secret="demo")
    monkeypatch.setattr("tools.prism.prism", fake.serve)
    runpy.run_module("tools.demo", run_name="__main__")
    assert [received.status for received in fake.requests] == [200]
    shown = capsys.readouterr().out
    parts = ("Starting Prism", "The coins of Prism", "After the exchange", "What was ex", "Next:")
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)
    advice = shown[places[-1] :]
    targets = re.findall("make ([a-z]+)", advice)
    assert targets
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert [each for each in targets if f"\n{each}: " not in makefile] == []
    assert [each for each in re.findall(r"docs/\S+", advice) if not (ROOT / each).exists()] == []
