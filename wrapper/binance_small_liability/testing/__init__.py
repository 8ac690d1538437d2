"""A fake Binance for tests. It checks what Binance checks and responds as the contract says::

    fake = FakeBinance()
    client = SmallLiabilityClient(**fake.credentials, transport=fake.transport())
    assert client.list_coins() == fake.coins

It can fail on demand, and it records the requests. The pytest fixtures `fake_binance` and
`fake_binance_url` make one for each test.

Within `with no_waiting():` the clients of this package skip their waits, in every thread: their
clock and the fake's move forward instead. The fixtures turn this on.
"""

from binance_small_liability._io.real_time import skipping as no_waiting

from ._fake import FakeBinance
from ._received import ReceivedRequest

__all__ = ["FakeBinance", "ReceivedRequest", "no_waiting"]
