"""The commands list, exchange and history against a served `FakeBinance`."""

import pytest
from binance_small_liability.cli.main import run
from binance_small_liability.testing import FakeBinance

from tests.cli.command import Captured, assert_one_line, rows, succeeds


@pytest.mark.usefixtures("fake_binance_env")
def test_list_exchange_and_history(capsys: Captured, fake_binance: FakeBinance) -> None:
    coins = list(fake_binance.coins)
    [coin] = rows(capsys, "list")
    succeeds(capsys, "exchange", coin["asset"].lower(), "--yes")
    assert rows(capsys, "list") == []
    # Binance allows no second exchange so soon.
    fake_binance.coins = coins
    assert run(["exchange", "--all", "--yes"]) == 1
    assert_one_line(capsys.readouterr().err)
    [exchange] = rows(capsys, "history")
    assert exchange["asset"] == coin["asset"]
    assert coin["liability_asset"] in exchange.values()
    # An exchange without an answer.
    for took_effect, code in ((True, 0), (False, 4)):
        fake_binance.exchanges.clear()
        fake_binance.coins = coins
        fake_binance.drop_next(operation="exchange", after_effect=took_effect)
        assert run(["exchange", "--all", "--yes"]) == code
        assert capsys.readouterr().out.count("EXCHANGE_SMALL_LIABILITY") == took_effect
        assert len(fake_binance.exchanges) == took_effect
