"""`make mock STRICT=1` serves until it is stopped."""

import signal
import sys
from typing import Any

import httpx
import pytest
from binance_small_liability import SmallLiabilityClient

from tests.conftest import running
from tools.contract import ROOT


def test_the_strict_mock_serves_until_it_is_interrupted() -> None:
    with running(sys.executable, "-m", "tools.strict_mock", "0", cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        names = ("api_key", "api_secret")
        said = [process.stdout.readline().strip().partition("=")[2] for _ in names]
        credentials: dict[str, Any] = dict(zip(names, said, strict=True))
        with SmallLiabilityClient(base_url=url, **credentials) as client:
            assert [coin.asset for coin in client.list_coins()] == ["ETH"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
