"""A fake Binance for tests. It checks what Binance checks and answers what the contract says::

    fake = FakeBinance()
    client = SmallLiabilityClient(**fake.credentials, transport=fake.transport())
    assert client.list_coins() == fake.coins

It can fail on demand, and it shows what arrived. The pytest fixtures `fake_binance` and
`fake_binance_url` give one to each test.

Within `with no_waiting():`, in every thread, the clients of this package do not wait before they
try again: time moves on at once, for them and for the fake. The fixtures switch it on.
"""

from binance_small_liability._io.real_time import skipping as no_waiting

from ._fake import FakeBinance
from ._received import ReceivedRequest

__all__ = ["FakeBinance", "ReceivedRequest", "no_waiting"]
