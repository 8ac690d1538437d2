"""`make mock STRICT=1` serves until it is stopped."""

import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

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
