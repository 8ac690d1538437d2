"""The commands list, exchange and history against a served `FakeBinance`."""

from collections.abc import Iterator

import pytest
from binance_small_liability.cli.main import run
from binance_small_liability.testing import FakeBinance

from tests.cli.command import Captured, assert_one_line, rows, succeeds


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBinance]:
    fake = FakeBinance()
    with fake.serve() as url:
        monkeypatch.setenv("BINANCE_BASE_URL", url)
        monkeypatch.setenv("BINANCE_API_KEY", fake.credentials["api_key"])
        monkeypatch.setenv("BINANCE_API_SECRET", fake.credentials["api_secret"])
        yield fake


def test_list_exchange_and_history(capsys: Captured, fake: FakeBinance) -> None:
    coins = list(fake.coins)
    [coin] = rows(capsys, "list")
    succeeds(capsys, "exchange", coin["asset"].lower(), "--yes")
    assert rows(capsys, "list") == []
    [exchange] = rows(capsys, "history")
    assert exchange["asset"] == coin["asset"]
    assert coin["liability_asset"] in exchange.values()
    # A second one is refused.
    fake.coins = coins
    assert run(["exchange", "--all", "--yes"]) == 1
    assert_one_line(capsys.readouterr().err)
    assert len(fake.exchanges) == 1


@pytest.mark.parametrize("took_effect", [True, False])
@pytest.mark.parametrize("how", ["dropped", "503"])
def test_the_advice_after_an_unknown_outcome(
    capsys: Captured, fake: FakeBinance, took_effect: bool, how: str
) -> None:
    if how == "dropped":
        fake.drop_next(operation="exchange", after_effect=took_effect)
    else:
        fake.fail_next(503, operation="exchange", after_effect=took_effect)
    assert run(["exchange", "--all", "--yes"]) == 3
    _, line = capsys.readouterr()
    assert_one_line(line)
    advised = line.rpartition("listed by: binance-small-liability ")[2].split()
    assert [row["asset"] for row in rows(capsys, *advised)] == ["ETH"] * took_effect
    assert len(fake.exchanges) == took_effect
