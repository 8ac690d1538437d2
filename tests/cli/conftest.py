from collections.abc import Iterator

import pytest
from binance_small_liability._config import VARIABLES
from binance_small_liability._io import real_time

from tests.cli.command import Forks, forking
from tests.conftest import API_KEY, API_SECRET

FOREIGN = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only credentials in the environment, and no other variable that the command reads."""
    for name in (*VARIABLES.values(), *FOREIGN):
        # Set first, so that monkeypatch also undoes what an --env-file sets.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", API_SECRET)
    with real_time.skipping():
        yield


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Runs the command in processes."""
    with forking() as forks:
        yield forks
