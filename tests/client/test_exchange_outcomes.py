"""Random sequences of faults and exchanges: what the client reports is what the fake records."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import attrs
import pytest
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    OutcomeUnknownError,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability.aiohttp import AiohttpTransport
from binance_small_liability.testing import FakeBinance, no_waiting
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ETH

pytestmark = pytest.mark.no_cover

# A time-out that is too short for late answers, and one that is long enough on any machine.
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
        _scripted("an empty body", "malform_next", b""),
    ]
    return faults


def _twice(fake: FakeBinance) -> None:
    fake.fail_next(429, retry_after=1)
    fake.drop_next(after_effect=True)


# Milliseconds by which Binance's clock is ahead. The large ones are corrected first.
SKEWS = [0, -900, 900, 4_000, 3_600_000, -3_600_000]
STEPS = st.lists(st.tuples(st.sampled_from(_faults()), st.sampled_from(SKEWS)), max_size=5)


def happened(error: OutcomeUnknownError, exchanges: list[Any]) -> bool:
    """Whether the exchange took effect, found as the guide describes."""
    return set(error.assets) <= {exchange.asset for exchange in exchanges}


class Calls(NamedTuple):
    """How the calls of a client are made."""

    exchange: Callable[[list[str]], Awaitable[None]]
    list_exchanges: Callable[..., Awaitable[list[Any]]]


async def _run(
    steps: list[tuple[Fault, int]], fake: FakeBinance, patient: Calls, hasty: Calls
) -> None:
    for number, (fault, skew) in enumerate(steps):
        asset = f"A{number}"
        fake.coins = [attrs.evolve(ETH, asset=asset)]
        fake.clock_skew = skew
        fault.script(fake)
        calls = hasty if fault.name.startswith("too late") else patient
        try:
            await calls.exchange([asset])
            reported: bool | None = True
        except OutcomeUnknownError as error:
            reported = happened(error, await patient.list_exchanges(start=error.sent_at))
        except SmallLiabilityError:
            reported = False
        effects = [done for done in fake.exchanges if done.asset == asset]
        assert len(effects) == (1 if reported else 0), (fault, skew, reported)


def _fake() -> FakeBinance:
    fake = FakeBinance()
    fake.hours_between_exchanges = 0
    return fake


thorough = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _sync_calls(client: SmallLiabilityClient) -> Calls:
    async def exchange(assets: list[str]) -> None:
        client.exchange(assets)

    async def list_exchanges(**options: Any) -> list[Any]:
        return client.list_exchanges(**options)

    return Calls(exchange, list_exchanges)


def check_sync(steps: list[tuple[Fault, int]]) -> None:
    fake = _fake()
    with no_waiting(), fake.serve() as url:
        options: dict[str, Any] = {**fake.credentials, "base_url": url}
        with (
            SmallLiabilityClient(**options, timeout=PATIENT) as patient,
            SmallLiabilityClient(**options, timeout=HASTY) as hasty,
        ):
            asyncio.run(_run(steps, fake, _sync_calls(patient), _sync_calls(hasty)))


async def check_async(steps: list[tuple[Fault, int]], transport: Any) -> None:
    fake = _fake()
    with no_waiting(), fake.serve() as url:
        options: dict[str, Any] = {**fake.credentials, "base_url": url}
        async with (
            AsyncSmallLiabilityClient(
                **options, timeout=PATIENT, transport=transport and transport()
            ) as patient,
            AsyncSmallLiabilityClient(
                **options, timeout=HASTY, transport=transport and transport()
            ) as hasty,
        ):
            await _run(
                steps,
                fake,
                Calls(patient.exchange, patient.list_exchanges),
                Calls(hasty.exchange, hasty.list_exchanges),
            )


@given(steps=STEPS)
@thorough
def test_the_synchronous_client_reports_the_truth(steps: list[tuple[Fault, int]]) -> None:
    check_sync(steps)


@pytest.mark.parametrize("transport", [None, AiohttpTransport], ids=["httpx", "aiohttp"])
def test_the_asynchronous_client_reports_the_truth(transport: Any) -> None:
    @given(steps=STEPS)
    @thorough
    def check(steps: list[tuple[Fault, int]]) -> None:
        asyncio.run(check_async(steps, transport))

    check()


@pytest.mark.parametrize("fault", _faults(), ids=repr)
@pytest.mark.parametrize("skew", SKEWS)
def test_each_fault_alone(fault: Fault, skew: int) -> None:
    check_sync([(fault, skew)])
