"""What the benchmarks make of figures, and that their server answers. No figure is judged."""

import itertools
import json
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from benchmarks.aims import judge
from benchmarks.contestants import (
    CONTESTANTS,
    HTTPX,
    HTTPX_ASYNC,
    OURS,
    OURS_AIOHTTP,
    OURS_ASYNC,
    YARDSTICK,
    exact_tuples,
)
from benchmarks.environments import Environment, lock_of
from benchmarks.figures import Spread, ratio
from benchmarks.measuring import BASELINE, LISTING, Results, Scale, Turn, serving
from benchmarks.report import chart, report
from benchmarks.server import SIZES
from benchmarks.worker import profile_by_package

_ROUNDS = (1.0, 2.0, 4.0)  # what one after the other disturbs everyone


def _results(seconds: dict[str, float]) -> Results:
    """Invented results in which each client takes one second, except those in `seconds`."""
    names = [*CONTESTANTS, YARDSTICK.name, BASELINE, LISTING]
    rounds = {name: [seconds.get(name, 1.0) * factor for factor in _ROUNDS] for name in names}
    environments = {contestant.environment for contestant in CONTESTANTS.values()}
    return Results(
        {name: Environment(Path("python"), "1.0", 11, 4_000_000, 1) for name in environments},
        out={"a peer": "cannot be installed"},
        calls=dict.fromkeys(SIZES, rounds),
        processor=rounds,
        throughput={HTTPX_ASYNC: [0.01, 0.02]},
        imports=rounds,
        starts=rounds,
        peaks={OURS: (1000, 1010)},
        scales={OURS_ASYNC: [Scale(1, 10, Turn(0.5, 0.5, 1000)), Scale(1, 1000, None)]},
        profiles={(OURS, 1000): {"httpx": 0.9, OURS: 0.592, "rare": 0.008}},
        imported=["decimal"],
    )


def _met(results: Results) -> dict[str, bool | None]:
    return {aim.key: aim.met for aim in judge(results)}


def test_quartiles_and_ratios() -> None:
    assert Spread.of([3, 1, 2, 5, 4]) == (2, 3, 4)
    assert Spread.of([0.001, 0.003]).times(1e3).text(1) == "2.0 (1.5 to 2.5)"
    # Round by round, not median by median.
    assert ratio([10, 2, 3], [1, 2, 3]) == (1, 1, 5.5)


def test_aims_that_are_met() -> None:
    # All that is wanted, to the brim; decoding takes 1 second, which is half of bare httpx.
    results = _results(
        {OURS: 2.1, HTTPX: 2.0, OURS_ASYNC: 1.1, OURS_AIOHTTP: 0.99, BASELINE: 2.1 / 1.25}
        | {name: 2.2 for name, peer in CONTESTANTS.items() if peer.is_peer and not peer.is_async}
    )
    assert set(_met(results).values()) == {True}


@pytest.mark.parametrize(
    ("key", "seconds"),
    [
        ("sync", {OURS: 1.11}),
        ("sync-peers", {}),
        ("async", {OURS_ASYNC: 1.11}),
        ("async-peers", {"ccxt (async)": 0.9}),
        ("decoding", {OURS: 1.51}),
        ("import", {OURS: 1.26}),
    ],
)
def test_a_missed_aim(key: str, seconds: dict[str, float]) -> None:
    assert _met(_results(seconds))[key] is False


def test_missed_aims_that_are_not_of_time() -> None:
    results = _results({})
    results.imported.append("aiohttp.client")
    results.peaks[OURS] = 1000, 1011
    results.environments[OURS] = Environment(Path("python"), "1.0", 12, 4_000_001, 1)
    met = _met(results)
    assert [met[key] for key in ("imported", "distributions", "size", "memory")] == [False] * 4


def test_who_is_out_is_not_judged() -> None:
    results = _results({})
    for rounds in results.calls.values():
        rounds.pop(OURS_AIOHTTP, None)
    assert _met(results)["async-peers"] is None
    assert "| not measured |" in report(results, "today", "a machine", "")


def test_the_report() -> None:
    text = report(
        _results({OURS: 3.0}), "2001-02-03", "two cores", "# Why\n\n## sync\n\nBecause.\n\n## x\n\n"
    )
    assert "Measured on 2001-02-03 by `make bench`, on two cores" in text
    assert f"| {HTTPX} | 1 | 2,000,000" in text
    assert f"| {OURS} | 8 | 6,000,000 (4,500,000 to 9,000,000) | 3.00 (3.00 to 3.00) |" in text
    assert "times bare httpx*: Because.\n" in text
    assert "peer*: not explained yet." in text
    assert f"| {OURS_ASYNC} | 1 | 10 | 2 | 1.0 |" in text
    assert f"| {OURS_ASYNC} | 1 | 1,000 | too slow to measure |  |" in text
    assert "| `httpx` | 60% |" in text
    assert "`rare`" not in text
    assert "| a peer | cannot be installed |" in text


def test_a_profile_tells_packages_apart() -> None:
    def calls() -> None:
        httpx.URL("https://api.binance.com")
        json.loads("[" + "1," * 50_000 + "1]")

    seconds = profile_by_package(calls)
    assert seconds.keys() == {"httpx", "Python's library"}
    # The decoder is built into Python; the library calls it.
    assert max(seconds, key=seconds.__getitem__) == "Python's library"


def test_the_chart() -> None:
    svg = ElementTree.fromstring(chart(_results({OURS: 3.0}), "2001-02-03", "two cores"))  # noqa: S314 - made right here
    bars = svg.findall("{*}rect")
    widths = [float(bar.get("width", 0)) for bar in bars]
    marked = [float(bar.get("width", 0)) for bar in bars if bar.get("class") != "bar"]
    assert len(bars) == len(CONTESTANTS)
    assert "on 2001-02-03 by make bench, on two cores" in "".join(svg.itertext())
    assert marked[0] == max(widths) == pytest.approx(3 * min(widths), abs=0.2)
    assert all(a <= b for a, b in itertools.pairwise(widths[:8]))


def test_the_server_answers_what_is_signed() -> None:
    with serving() as urls:
        for coins, url in urls.items():
            target = f"{url}/sapi/v1/margin/exchange-small-liability?timestamp=1&signature=0"
            content = httpx.get(target).content
            assert len(exact_tuples(content)) == len(json.loads(content)) == coins
        unsigned = httpx.get(f"{urls[1]}/sapi/v1/margin/exchange-small-liability?timestamp=1")
        assert unsigned.status_code == 404


def test_every_environment_is_locked() -> None:
    for contestant in CONTESTANTS.values():
        assert "--hash=sha256:" in lock_of(contestant.environment).read_text("utf-8")
