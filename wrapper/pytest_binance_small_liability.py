"""pytest fixtures for services that use binance-small-liability.

pytest imports this module in every run. So it is outside the package, and it imports the package
only when a test uses a fixture.

pytest rewrites every package that is installed together with a plugin, and warns if one is already
imported. PYTEST_DONT_REWRITE, here and in the docstrings of the packages, prevents both.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from binance_small_liability.testing import FakeBinance


@pytest.fixture
def fake_binance() -> "Iterator[FakeBinance]":
    """A new fake Binance for each test. Clients skip their waits."""
    from binance_small_liability.testing import FakeBinance, no_waiting

    with no_waiting():
        yield FakeBinance()


@pytest.fixture
def fake_binance_url(fake_binance: "FakeBinance") -> Iterator[str]:
    """The URL at which `fake_binance` is served while the test runs."""
    with fake_binance.serve() as url:
        yield url


@pytest.fixture
def fake_binance_env(
    fake_binance: "FakeBinance", fake_binance_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sets the variables of `from_env`, so that its clients reach `fake_binance`."""
    from binance_small_liability._config import VARIABLES

    for name in VARIABLES.values():
        # Set first, so that monkeypatch also undoes what a test sets.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in fake_binance.environment(fake_binance_url).items():
        monkeypatch.setenv(name, value)
