"""What a client reports of an exchange is what happened, after any sequence of faults."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import attrs
import pytest
from binance_small_liability import OutcomeUnknownError, Receipt, SmallLiabilityError
from binance_small_liability.aiohttp import AiohttpTransport
from binance_small_liability.testing import FakeBinance, no_waiting

from tests.clients import CLIENTS, RunClient, finished, run_aiohttp, run_scenario
from tests.conftest import ETH

# A timeout that is too short for late answers, and one that is long enough on any machine.
HASTY = 0.6  # seconds
PATIENT = 30.0  # seconds


@dataclass(frozen=True)
class Fault:
    """What happens to the next request of an exchange."""

    name: str
    script: Callable[[FakeBinance], None]

    def __repr__(self) -> str:
        return self.name


def _scripted(name: str, method: str, *arguments: Any, **options: Any) -> Fault:
    return Fault(name, lambda fake: getattr(fake, method)(*arguments, **options))


def _faults() -> list[Fault]:
    faults = [Fault("none", lambda _: None)]
    for when, after in (("before", False), ("after", True)):
        faults += [
            _scripted(f"dropped {when}", "drop_next", after_effect=after),
            _scripted(f"too late {when}", "delay_next", 3 * HASTY, after_effect=after),
            *(
                _scripted(f"{status} {when}", "fail_next", status, after_effect=after)
                for status in (500, 503, 520)
            ),
        ]
    # A refusal means no effect, so these never follow it.
    faults += [_scripted(f"{status}", "fail_next", status) for status in (400, 401, 403)]
    faults += [
        _scripted("429", "fail_next", 429, retry_after=1),
        Fault("429, then dropped after", _twice),
        _scripted("garbage", "malform_next", b"<html>"),
        _scripted("no garbage", "malform_next", b"[{]", after_effect=False),
        _scripted("an empty body", "malform_next", b""),
    ]
    return faults


def _twice(fake: FakeBinance) -> None:
    fake.fail_next(429, retry_after=1)
    fake.drop_next(after_effect=True)


# Milliseconds by which Binance's clock is ahead. The large ones are corrected first.
SKEWS = [0, -900, 900, 4_000, 3_600_000, -3_600_000]


async def _run(steps: list[tuple[Fault, int]], fake: FakeBinance, patient: Any, hasty: Any) -> None:
    for number, (fault, skew) in enumerate(steps):
        asset = f"A{number}"
        fake.coins = [attrs.evolve(ETH, asset=asset)]
        fake.clock_skew = skew
        fault.script(fake)
        client = hasty if fault.name.startswith("too late") else patient
        try:
            receipt: Receipt | None = await finished(client.exchange([asset]))
        except OutcomeUnknownError as error:
            receipt = error.receipt
        except SmallLiabilityError:
            receipt = None
        reported = [] if receipt is None else await finished(patient.confirm(receipt))
        assert reported == [done for done in fake.exchanges if done.asset == asset], (fault, skew)
        assert reported or receipt is None or fault.name != "none"


def _check(client: RunClient, steps: list[tuple[Fault, int]]) -> None:
    fake = FakeBinance()
    fake.hours_between_exchanges = 0
    with no_waiting(), fake.serve() as url:
        options: dict[str, Any] = {**fake.credentials, "base_url": url}

        async def scenario(patient: Any) -> None:
            transport = AiohttpTransport() if client is run_aiohttp else None
            hasty = type(patient)(**options, timeout=HASTY, transport=transport)
            await _run(steps, fake, patient, hasty)
            await finished(hasty.close())

        run_scenario(client, scenario, **options, timeout=PATIENT)


def _sequences() -> Iterator[list[tuple[Fault, int]]]:
    """Each fault with each skew once, in a random order that is always the same."""
    steps = list(itertools.product(_faults(), SKEWS))
    random.Random(1).shuffle(steps)
    for start in range(0, len(steps), 5):
        yield steps[start : start + 5]


@pytest.mark.parametrize("number", range(len(CLIENTS)), ids=CLIENTS)
def test_a_report_is_the_truth(number: int) -> None:
    client = list(CLIENTS.values())[number]
    for steps in itertools.islice(_sequences(), number, None, len(CLIENTS)):
        _check(client, steps)
