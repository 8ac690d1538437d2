"""pytest fixtures for services that use binance-small-liability.

pytest imports this module in every run. So it is beside the package, not in it, and it imports the
package only when a fixture is used.

pytest rewrites every package that is installed together with a plugin, and warns of one that is
imported already. PYTEST_DONT_REWRITE, here and in the docstrings of the packages, prevents both.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from binance_small_liability.testing import FakeBinance


@pytest.fixture
def fake_binance() -> "Iterator[FakeBinance]":
    """A fake Binance for this test alone. Where a client would wait, time moves on at once."""
    from binance_small_liability.testing import FakeBinance, no_waiting

    with no_waiting():
        yield FakeBinance()


@pytest.fixture
def fake_binance_url(fake_binance: "FakeBinance") -> Iterator[str]:
    """The URL at which `fake_binance` is served while the test runs."""
    with fake_binance.serve() as url:
        yield url
