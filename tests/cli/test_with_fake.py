"""The commands list, exchange and history against a served `FakeBinance`."""

import csv
import io

import pytest
from binance_small_liability.cli.main import run
from binance_small_liability.testing import FakeBinance

from tests.cli.command import Captured, assert_one_line, succeeds

pytestmark = pytest.mark.usefixtures("fake_binance_env")


def listed(capsys: Captured, *arguments: str) -> list[dict[str, str]]:
    text = succeeds(capsys, *arguments, "--format", "csv")
    return list(csv.DictReader(io.StringIO(text)))


def test_list_exchange_and_history(capsys: Captured) -> None:
    [coin] = listed(capsys, "list")
    succeeds(capsys, "exchange", coin["asset"].lower(), "--yes")
    assert listed(capsys, "list") == []
    [exchange] = listed(capsys, "history")
    assert exchange["asset"] == coin["asset"]
    assert coin["liability_asset"] in exchange.values()


@pytest.mark.parametrize("took_effect", [True, False])
@pytest.mark.parametrize("how", ["dropped", "503"])
def test_an_unknown_outcome(
    capsys: Captured, fake_binance: FakeBinance, took_effect: bool, how: str
) -> None:
    fake = fake_binance
    if how == "dropped":
        fake.drop_next(operation="exchange", after_effect=took_effect)
    else:
        fake.fail_next(503, operation="exchange", after_effect=took_effect)
    assert run(["exchange", "--all", "--yes"]) == (0 if took_effect else 4)
    printed, _ = capsys.readouterr()
    assert printed.count("EXCHANGE_SMALL_LIABILITY") == took_effect
    assert len(fake.exchanges) == took_effect


def test_a_second_exchange_is_refused(capsys: Captured, fake_binance: FakeBinance) -> None:
    fake, coins = fake_binance, list(fake_binance.coins)
    succeeds(capsys, "exchange", "--all", "--yes")
    fake.coins = coins
    assert run(["exchange", "--all", "--yes"]) == 1
    assert_one_line(capsys.readouterr().err)
    assert len(fake.exchanges) == 1
