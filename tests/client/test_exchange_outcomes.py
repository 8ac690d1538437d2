"""What a client reports of an exchange is what happened, after any cut and sequence of faults."""

import asyncio
import gzip
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import attrs
import pytest
from binance_small_liability import (
    ApiError,
    AsyncSmallLiabilityClient,
    OutcomeUnknownError,
    Receipt,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability.aiohttp import AiohttpTransport
from binance_small_liability.testing import FakeBinance, no_waiting
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clients import RunClient, in_turn
from tests.conftest import ETH
from tests.wire import Answer, Request, closed, reset, response, serving
from tools.operations import EXCHANGE

pytestmark = pytest.mark.no_cover

REFUSAL = b'{"msg":"No","code":%b}'


def _chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


LIMITED = response(REFUSAL % b"-1003", 429, {"Retry-After": "1"})
# What a server may answer, and how a client reports the whole answer.
REFUSALS = [
    response(REFUSAL % b"-9044"),
    response(REFUSAL % b"-9044.0"),
    response(REFUSAL % b'"-9044"'),
    response(REFUSAL % b"-904400000000000000000"),
    response(b"[" + REFUSAL % b"-9044" + b"]"),
    response(b"\xef\xbb\xbf" + REFUSAL % b"-9044"),
    response(REFUSAL % b"-9044", 400),
    response(b"<html>", 403),
    LIMITED,
    _chunked(REFUSAL % b"-9044"),
]
UNCLEAR = [
    response((REFUSAL % b"-9044").decode().encode("utf-16")),
    response(gzip.compress(REFUSAL % b"-9044"), headers={"Content-Encoding": "gzip"}),
    response(REFUSAL % b"-9044" + b"!"),
    response(REFUSAL % b"-1007", 400),
    response(REFUSAL % b'"-1007"', 400),
    response(REFUSAL % b"-1007.0", 400),
    response(REFUSAL % b"-1007", 400, {"Content-Encoding": "gzip"}),
    response(b"<html>"),
    response(b"", 202),
    response(REFUSAL % b"-1000", 503),
    _chunked(REFUSAL % b"-1007"),
]
ACCEPTANCES = [response(EXCHANGE.body), _chunked(EXCHANGE.body)]
if not EXCHANGE.generated.is_documented:
    ACCEPTANCES += [response(b""), response(b" "), response([{}])]


@pytest.mark.parametrize("cut", [closed, reset])
def test_a_report_never_claims_more_than_the_answer(
    client: RunClient, cut: Callable[[bytes], Answer]
) -> None:
    truths = {ApiError: REFUSALS, OutcomeUnknownError: UNCLEAR, Receipt: ACCEPTANCES}
    # Each exchange has another asset, whose number is its place in this list.
    plan: list[tuple[Answer, type]] = []
    for truth, answers in truths.items():
        for answer in answers:
            plan.append((answer, truth))
            body = answer.index(b"\r\n\r\n") + 4
            ends = (0, 10, body - 3, *range(body, len(answer)))
            plan += [(cut(answer[:end]), OutcomeUnknownError) for end in ends]

    def answer_to(request: Request) -> Answer:
        return plan[int(dict(request.query)["assetNames"])][0]

    steps = [lambda c, asset=str(number): c.exchange([asset]) for number in range(len(plan))]
    with no_waiting(), serving(answer_to) as server:
        reports = client(in_turn(*steps), base_url=server.url)
    for (sent, truth), report in zip(plan, reports, strict=True):
        assert isinstance(report, truth), (sent, report)
    repeated = Counter(dict(request.query)["assetNames"] for request in server.requests)
    limited = {str(number) for number, (sent, _) in enumerate(plan) if sent == LIMITED}
    assert {asset for asset, requests in repeated.items() if requests > 1} == limited


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
        _scripted("no garbage", "malform_next", b"[{]", after_effect=False),
        _scripted("an empty body", "malform_next", b""),
    ]
    return faults


def _twice(fake: FakeBinance) -> None:
    fake.fail_next(429, retry_after=1)
    fake.drop_next(after_effect=True)


# Milliseconds by which Binance's clock is ahead. The large ones are corrected first.
SKEWS = [0, -900, 900, 4_000, 3_600_000, -3_600_000]
STEPS = st.lists(st.tuples(st.sampled_from(_faults()), st.sampled_from(SKEWS)), max_size=5)


class Calls(NamedTuple):
    """How the calls of a client are made."""

    exchange: Callable[[list[str]], Awaitable[Receipt]]
    confirm: Callable[[Receipt], Awaitable[list[Any]]]


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
            receipt: Receipt | None = await calls.exchange([asset])
        except OutcomeUnknownError as error:
            receipt = error.receipt
        except SmallLiabilityError:
            receipt = None
        reported = [] if receipt is None else await patient.confirm(receipt)
        assert reported == [done for done in fake.exchanges if done.asset == asset], (fault, skew)
        assert reported or receipt is None or fault.name != "none"


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
    async def exchange(assets: list[str]) -> Receipt:
        return client.exchange(assets)

    async def confirm(receipt: Receipt) -> list[Any]:
        return client.confirm(receipt)

    return Calls(exchange, confirm)


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
                Calls(patient.exchange, patient.confirm),
                Calls(hasty.exchange, hasty.confirm),
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
