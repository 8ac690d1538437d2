"""How the benchmarks judge figures, and that each client does what is measured."""

import json
import sys
from pathlib import Path

import pytest
import redis
from binance_small_liability import IpBanError, SmallLiabilityClient
from binance_small_liability.testing import FakeBinance

from benchmarks import clients, fleet, report
from benchmarks.clients import CLIENTS, CREDENTIALS, OURS, OURS_AIOHTTP, OURS_ASYNC, SHARED
from benchmarks.fleet import BAN, BUDGET, Run
from benchmarks.report import IMPORT, Results, Work
from tests.processes import output

_SHARED_ASYNC = f"{SHARED} (async)"


def _results(ours: float) -> Results:
    """Figures in which our clients need so many times the seconds of all others."""
    names = [*CLIENTS, *clients.ROUND_TRIPS, report.BASELINE, IMPORT, SHARED, _SHARED_ASYNC]
    results = Results("2001-02-03", "two cores")
    distributions = "abcdefghi" if ours < 1 else "abcdefghij"
    sizes = dict.fromkeys(distributions, round(280_000 * ours))
    results.installed = {OURS: report.Installed("1.0", sizes)}
    for name in names:
        is_ours = name in (OURS, OURS_ASYNC, OURS_AIOHTTP, IMPORT, SHARED, _SHARED_ASYNC)
        for coins, tasks in ((1, 1), (10, 1), (100, 1), (1, 100)):
            work, seconds = Work(name, coins, tasks), ours if is_ours else 1.0
            # A disturbance affects all clients of a round.
            results.seconds[work] = [seconds * disturbed for disturbed in (1, 2, 4)]
            results.profiles[work] = {f"profile of {work}": 1.0}
    missing, late = (0, 0) if ours < 1 else (2, 99)
    requests = [(m + n / BUDGET / 2, 200) for m in range(fleet.MINUTES) for n in range(BUDGET)]
    for name, processes in (("1 process", 1), ("16 processes", 16), (BAN, 16)):
        results.runs[name] = Run(processes, processes > 1, requests[missing:], late)
    return results


def test_a_figure_is_the_median_with_quartiles() -> None:
    assert report.spread([1, 2, 3, 4, 1000], 1) == "3.0 (2.0 to 4.0)"
    results = Results("", "", seconds={Work("a"): [10, 2, 3], Work("b"): [1, 2, 3]})
    assert results.ratios(Work("a"), Work("b")) == [10, 1, 1]


@pytest.mark.parametrize(("ours", "verdict"), [(0.1, "met"), (10, "**missed**")])
def test_every_aim_is_judged_and_a_miss_is_explained(ours: float, verdict: str) -> None:
    results = _results(ours)
    written = report.text(results)
    explanation = written.partition("Missed: ")[2]
    aims = list(report.aims(results))
    assert {aim.is_met for aim in aims} == {verdict == "met"}
    for aim in aims:
        assert f"| {aim.text} | {aim.figure} | {verdict} |" in written
        assert (aim.text in explanation) == (verdict != "met")
        if verdict != "met":
            assert any(f"| `{name}` | " in explanation for name in aim.profile)


def test_the_fake_bans_and_records_until_a_refusal_and_after_a_ban() -> None:
    fake = fleet.RecordingBinance(minute=3600, banned_after=4)
    options = {**CREDENTIALS, "transport": fake.transport(), "max_attempts": 1}
    with SmallLiabilityClient(**options) as client:
        for _ in range(3):
            client.list_coins()
        with pytest.raises(IpBanError):
            client.list_coins()
    assert fake.until_refused()[0] == 3
    fake.records = [(10.0, 10.1, 200), (10.2, 10.4, 418), (10.3, 10.5, 418), (10.9, 11.0, 418)]
    recorded = fake.run(16, 10.0, is_shared=True)
    assert recorded.statuses() == {200: 1, 418: 3}
    assert recorded.late == 1


def test_clients_make_signed_calls_and_report_seconds_or_a_profile() -> None:
    # `make bench` itself checks the others.
    names = (OURS, OURS_AIOHTTP, _SHARED_ASYNC)
    with fleet.valkey() as redis_url:
        for name in names:
            fake = FakeBinance(**CREDENTIALS)
            with fake.serve() as url:
                answers = output(
                    *(sys.executable, "-m", "benchmarks.clients", name, url),
                    input="[2, 1, 1, false]\n[2, 1, 1, true]\n",
                    env={clients.REDIS_URL: redis_url},
                )
            seconds, profile = map(json.loads, answers.splitlines())
            assert seconds > 0
            assert any("repeat" in function for function in profile)
            # Each makes 3 calls before each measurement.
            assert [request.status for request in fake.requests] == [200] * 10
        assert redis.Redis.from_url(redis_url).keys()


@pytest.mark.parametrize("environment", sorted({each.environment for each in CLIENTS.values()}))
def test_every_environment_is_pinned_and_names_no_host(environment: str) -> None:
    pinned = Path(f"benchmarks/requirements/{environment}.txt").read_text("utf-8")
    assert "--hash=sha256:" in pinned
    assert "://" not in pinned
