"""What the benchmarks make of figures. No figure is measured here."""

from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from binance_small_liability import RateLimitError, SmallLiabilityClient

from benchmarks import fleet
from benchmarks.clients import CLIENTS, CREDENTIALS, OURS, OURS_AIOHTTP, OURS_ASYNC
from benchmarks.fleet import BAN, BUDGET, MINUTES, RecordingBinance, Run
from benchmarks.report import BASELINE, Installed, Results, Spread, aims, ratio, text, write
from benchmarks.run import serving

_ROUNDS = (1.0, 2.0, 4.0)  # a disturbance affects all clients of a round
_TRIPS = (fleet.CALL, fleet.SHARED, fleet.GET)
_TRIPS_ASYNC = (fleet.CALL_ASYNC, fleet.SHARED_ASYNC, fleet.GET_ASYNC)


def _run(processes: int, *, shared: bool, missing: int = 0, late: int = 0) -> Run:
    answered = [minute + n / BUDGET / 2 for minute in range(MINUTES) for n in range(BUDGET)]
    answered = answered[missing:]
    return Run(processes, shared, answered, {200: len(answered)}, [0.01] * late)


def _results(changes: dict[str, float]) -> Results:
    """Every aim is met, except by what `changes` gives: seconds by name."""
    seconds = {
        **dict.fromkeys(CLIENTS, 1.0),
        **{OURS: 0.8, OURS_ASYNC: 0.9, OURS_AIOHTTP: 1.7},
        **dict.fromkeys(_TRIPS + _TRIPS_ASYNC, 1.0),
        **{fleet.SHARED: 2.5, fleet.SHARED_ASYNC: 2.5, BASELINE: 0.8 / 1.1},
        **changes,
    }
    rounds = {name: [each * factor for factor in _ROUNDS] for name, each in seconds.items()}
    calls = {name: rounds[name] for name in CLIENTS}
    together = {name: each for name, each in calls.items() if CLIENTS[name].is_async}
    together[OURS_ASYNC] = [each / 3 for each in together[OURS_ASYNC]]
    runs = {"1 process": _run(1, shared=False), "16 processes": _run(16, shared=True)}
    return Results(
        "2001-02-03",
        "two cores",
        installed={OURS: Installed("1.0", 9, 2_600_000)},
        calls=dict.fromkeys((1, 10, 100), calls),
        together=together,
        imports={name: rounds[name] for name in (BASELINE, OURS)},
        round_trips={name: rounds[name] for name in _TRIPS + _TRIPS_ASYNC},
        profiles={OURS: [("module.py slow", 0.5)]},
        pacing={"a peer": (120, 4.0)},
        runs={**runs, BAN: _run(16, shared=True, late=63)},
    )


def _missed(results: Results) -> list[str]:
    return [aim.text for aim in aims(results) if not aim.met]


def test_ratios_compare_figures_of_the_same_round() -> None:
    assert ratio([10, 2, 3], [1, 2, 3]) == (1, 1, 5.5)
    assert Spread.of([0.001, 0.003], 1e-3).text(1) == "2.0 (1.5 to 2.5)"


def test_every_aim_is_in_the_report() -> None:
    results = _results({})
    assert _missed(results) == []
    rows = text(results).splitlines()
    for aim in aims(results):
        assert f"| {aim.text} | {aim.figure} | met |" in rows


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({OURS: 0.81}, "synchronous call takes at most 0.80"),
        ({"ccxt": 0.79}, "faster than every peer's, coins: 1"),
        ({"binance-sdk-margin-trading": 0.79}, "typed results"),
        ({OURS_ASYNC: 0.91}, "asynchronous call takes at most 0.90"),
        ({OURS_ASYNC: 1.01}, "100 tasks have at least 3"),
        ({OURS_AIOHTTP: 1.71}, "times bare aiohttp"),
        ({OURS_AIOHTTP: 2.3}, "they have at least 0.45"),
        ({"ccxt (async)": 0.9}, "fastest asynchronous peer"),
        ({BASELINE: 0.6}, "Importing"),
        ({fleet.SHARED: 2.51}, fleet.SHARED),
        ({fleet.GET_ASYNC: 0.9}, fleet.SHARED_ASYNC),
    ],
)
def test_a_missed_time_is_named(changes: dict[str, float], part: str) -> None:
    results = _results(changes)
    missed = _missed(results)
    assert any(part in each for each in missed), missed
    explained = "".join(line for line in text(results).splitlines() if line.startswith("Missed"))
    assert all(each in explained for each in missed)


def test_a_missed_aim_is_explained_by_its_profile() -> None:
    assert "| `module.py slow` | 50% |" in text(_results({OURS: 0.81}))
    assert "module.py slow" not in text(_results({}))


def test_a_missed_size_is_named() -> None:
    results = _results({})
    results.installed[OURS] = Installed("1.0", 10, 2_700_000)
    assert len(_missed(results)) == 2


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("16 processes", _run(16, shared=True, missing=2)),
        ("16 processes", _run(16, shared=True)._replace(statuses={200: 360, 429: 1})),
        ("1 process", _run(1, shared=False, missing=2)),
        (BAN, _run(16, shared=True, late=64)),
    ],
)
def test_a_fleet_that_misses_its_aim_is_named(name: str, run: Run) -> None:
    results = _results({})
    results.runs[name] = run
    assert len(_missed(results)) == 1


def test_the_charts_are_written(tmp_path: Path) -> None:
    write(_results({}), tmp_path)
    bars = ElementTree.parse(tmp_path / "results.svg")  # noqa: S314 - written above
    assert len(bars.findall("{*}rect")) == len(CLIENTS)
    lines = ElementTree.parse(tmp_path / "fleet.svg")  # noqa: S314 - written above
    assert len(lines.findall("{*}path")) == 1


def test_the_fake_records_refusals_and_what_arrives_after_a_ban() -> None:
    fake = RecordingBinance(minute=3600)
    fake.weight_limit = 300
    client = SmallLiabilityClient(**CREDENTIALS, transport=fake.transport(), max_attempts=1)
    with client:
        for _ in range(3):
            client.list_coins()
        with pytest.raises(RateLimitError):
            client.list_coins()
    assert fake.until_refused()[0] == 3
    fake.records = [(10.0, 10.1, 200), (10.2, 10.4, 418), (10.3, 10.5, 418), (10.9, 11.0, 418)]
    run = fake.run(16, is_shared=True, begin=10.0)
    assert run.statuses == {200: 1, 418: 3}
    assert run.late == pytest.approx([0.5])


def test_the_server_answers_what_is_signed() -> None:
    with serving() as urls:
        for coins, url in urls.items():
            target = f"{url}/sapi/v1/margin/exchange-small-liability?timestamp=1"
            assert len(httpx.get(f"{target}&signature=0").json()) == coins
            assert httpx.get(target).status_code == 400


def test_every_environment_is_pinned_and_names_no_host() -> None:
    folder = Path("benchmarks/requirements")
    for client in CLIENTS.values():
        pinned = (folder / f"{client.environment}.txt").read_text("utf-8")
        assert "--hash=sha256:" in pinned
        assert "://" not in pinned
