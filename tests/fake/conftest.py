import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from binance_small_liability.testing import FakeBinance

from tests.fake.sending import RawSocket, Sender

SECOND = 1_000_000_000


both_ways = pytest.mark.parametrize("sender", ["in process", "over a socket"], indirect=True)


@pytest.fixture
def sender(request: pytest.FixtureRequest) -> Iterator[Sender]:
    """Sends within the process, unless the test has the mark `both_ways`."""
    fake = FakeBinance()
    with ExitStack() as stack:
        options: dict[str, Any] = {"base_url": "http://fake", "transport": fake.transport()}
        if getattr(request, "param", "") == "over a socket":
            options = {"base_url": stack.enter_context(fake.serve()), "transport": RawSocket()}
        yield Sender(fake, stack.enter_context(httpx.Client(**options)))


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
