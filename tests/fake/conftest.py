import time
from collections.abc import Iterator

import httpx
import pytest
from binance_small_liability.testing import FakeBinance

from tests.fake.sending import RawSocket, Sender

SECOND = 1_000_000_000


@pytest.fixture(params=["in process", "over a socket"])
def sender(request: pytest.FixtureRequest) -> Iterator[Sender]:
    fake = FakeBinance()
    if request.param == "in process":
        with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
            yield Sender(fake, http_client)
    else:
        with (
            fake.serve() as url,
            httpx.Client(base_url=url, transport=RawSocket()) as http_client,
        ):
            yield Sender(fake, http_client)


class StoppedClock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self._ns = 1_700_000_040 * SECOND  # a minute begins

    def time_ns(self) -> int:
        return self._ns

    def advance(self, seconds: float) -> None:
        self._ns += round(seconds * SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    """The clock of the fake and of the clients."""
    clock = StoppedClock()
    monkeypatch.setattr(time, "time_ns", clock.time_ns)
    return clock
