"""How the benchmarks judge figures, and that each client does what is measured."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
import redis
from binance_small_liability import IpBanError, SmallLiabilityClient
from binance_small_liability.testing import FakeBinance

from benchmarks import clients, fleet, report, run
from benchmarks.clients import CLIENTS, CREDENTIALS, GET, OURS, OURS_AIOHTTP, OURS_ASYNC, SHARED
from benchmarks.fleet import BAN, BUDGET, Run
from benchmarks.report import IMPORT, Results, Work

_SHARED_ASYNC = f"{SHARED} (async)"


def _run(processes: int, *, is_shared: bool = True, missing: int = 0, late: int = 0) -> Run:
    requests = [(m + n / BUDGET / 2, 200) for m in range(fleet.MINUTES) for n in range(BUDGET)]
    return Run(processes, is_shared, requests[missing:], late)


def _results(changes: dict[str, float]) -> Results:
    """Every aim is just met, except by what `changes` gives: seconds by name."""
    by_name = {
        **dict.fromkeys([*CLIENTS, *clients.ROUND_TRIPS, report.BASELINE], 1.0),
        **{OURS: 0.8, OURS_ASYNC: 0.9, OURS_AIOHTTP: 1.7, IMPORT: 1.15},
        **{SHARED: 2.5, _SHARED_ASYNC: 2.5},
        **changes,
    }
    results = Results("2001-02-03", "two cores")
    results.installed = {OURS: report.Installed("1.0", dict.fromkeys("abcdefghi", 288_000))}
    for name, each in by_name.items():
        for coins, tasks in ((1, 1), (10, 1), (100, 1), (1, 100)):
            work, seconds = Work(name, coins, tasks), each
            if tasks > 1 and name == OURS_ASYNC:
                seconds *= 0.37
            # A disturbance affects all clients of a round.
            results.seconds[work] = [seconds * disturbed for disturbed in (1, 2, 4)]
            results.profiles[work] = {f"profile of {work}": 1.0}
    alone = _run(1, is_shared=False)
    results.runs = {"1 process": alone, "16 processes": _run(16), BAN: _run(16, late=63)}
    return results


def _missed(results: Results) -> list[str]:
    return [aim.text for aim in report.aims(results) if not aim.is_met]


def test_a_figure_is_the_median_with_quartiles() -> None:
    assert report.spread([1, 2, 3, 4, 1000], 1) == "3.0 (2.0 to 4.0)"
    results = Results("", "", seconds={Work("a"): [10, 2, 3], Work("b"): [1, 2, 3]})
    assert results.ratios(Work("a"), Work("b")) == [10, 1, 1]


def test_every_aim_is_in_the_report() -> None:
    results = _results({})
    assert _missed(results) == []
    rows = report.text(results).splitlines()
    for aim in report.aims(results):
        assert f"| {aim.text} | {aim.figure} | met |" in rows


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({OURS: 0.81}, "A synchronous call takes at most 0.8 times"),
        ({"ccxt": 0.79}, "returns 1 coin is faster"),
        ({"ccxt": 0.79}, "returns 10 coins is faster"),
        ({"binance-sdk-margin-trading": 0.79}, "typed results, synchronous"),
        ({"typed-binance (async)": 0.89}, "typed results, asynchronous"),
        ({OURS_ASYNC: 0.91}, "An asynchronous call takes at most 0.9 times"),
        ({OURS_ASYNC: 0.91}, "100 tasks have at least 3 times"),
        ({OURS_AIOHTTP: 1.71}, "at most 1.7 times"),
        ({OURS_AIOHTTP: 2.3}, "at least 0.45 times"),
        ({"ccxt (async)": 0.9}, "at most 1.8 times the fastest"),
        ({IMPORT: 1.16}, "Importing"),
        ({SHARED: 2.51}, SHARED),
        ({f"{GET} (async)": 0.9}, _SHARED_ASYNC),
    ],
)
def test_a_missed_time_is_explained_by_a_profile(changes: dict[str, float], part: str) -> None:
    results = _results(changes)
    aim = next(aim for aim in report.aims(results) if part in aim.text)
    assert not aim.is_met
    explanation = report.text(results).partition("Missed: ")[2]
    assert aim.text in explanation
    assert all(f"| `{name}` | 100% |" in explanation for name in aim.profile)


def test_only_peers_with_typed_results_count_where_an_aim_says_so() -> None:
    assert not any("typed results" in each for each in _missed(_results({"ccxt": 0.1})))


def test_a_missed_size_is_explained_by_the_distributions() -> None:
    results = _results({})
    results.installed[OURS].sizes["j"] = 900_000
    assert len(_missed(results)) == 2
    assert "| `j` | 26% |" in report.text(results)


@pytest.mark.parametrize(
    ("name", "missed"),
    [
        ("16 processes", _run(16, missing=2)),
        ("16 processes", _run(16)._replace(requests=[*_run(16).requests, (2.9, 429)])),
        ("1 process", _run(1, is_shared=False, missing=2)),
        (BAN, _run(16, late=64)),
    ],
)
def test_a_fleet_that_misses_its_aim_is_named(name: str, missed: Run) -> None:
    results = _results({})
    results.runs[name] = missed
    assert len(_missed(results)) == 1


def test_the_charts_are_written(tmp_path: Path) -> None:
    report.write(_results({}), tmp_path)
    files = (tmp_path / "results.svg", tmp_path / "fleet.svg")
    bars, lines = (ElementTree.parse(file) for file in files)  # noqa: S314 - written above
    assert len(bars.findall("{*}rect")) == len(CLIENTS)
    assert len(lines.findall("{*}path")) == 1


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


@pytest.mark.parametrize("coins", report.COINS)
def test_the_server_answers_what_is_signed(monkeypatch: pytest.MonkeyPatch, coins: int) -> None:
    monkeypatch.setattr(run.Connection, "coins", coins)
    target = f"{run.serve()}/sapi/v1/margin/exchange-small-liability?timestamp=1"
    assert len(httpx.get(f"{target}&signature=0").json()) == coins
    assert httpx.get(target).status_code == 400


def test_clients_make_signed_calls_and_report_seconds_or_a_profile() -> None:
    # Peers are installed only by `make bench`, and checked there.
    names = [name for name, client in CLIENTS.items() if not client.is_peer]
    fake = FakeBinance(**CREDENTIALS)
    piped = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with fake.serve() as url, fleet.valkey() as redis_url:
        start = partial(piped, env={**os.environ, clients.REDIS_URL: redis_url})
        command = [sys.executable, "-m", "benchmarks.clients"]
        workers = [start([*command, name, url]) for name in (*names, SHARED, _SHARED_ASYNC)]
        for worker in workers:
            answers, _ = worker.communicate("[2, 1, 1, false]\n[2, 1, 1, true]\n")
            seconds, profile = map(json.loads, answers.splitlines())
            assert seconds > 0
            assert any("repeat" in function for function in profile)
        assert redis.Redis.from_url(redis_url).keys()
    # Each worker makes 3 calls before each measurement.
    assert [request.status for request in fake.requests] == [200] * 10 * len(workers)


@pytest.mark.parametrize("environment", sorted({each.environment for each in CLIENTS.values()}))
def test_every_environment_is_pinned_and_names_no_host(environment: str) -> None:
    pinned = Path(f"benchmarks/requirements/{environment}.txt").read_text("utf-8")
    assert "--hash=sha256:" in pinned
    assert "://" not in pinned
