"""Writes the results down: tables for people, every figure from the measurement."""

import re
from collections.abc import Iterable, Iterator

from benchmarks.aims import Aim, judge
from benchmarks.chart import bar_chart
from benchmarks.contestants import CONTESTANTS, FLOOR, OURS, Contestant
from benchmarks.figures import Spread, ratio
from benchmarks.measuring import BASELINE, Results, Rounds

_MET = {True: "met", False: "**missed**", None: "not measured"}
_LEAST_SHARE = 0.01
_KEY = re.compile(r"^## (.+)$", re.MULTILINE)


def chart(results: Results, date: str, machine: str) -> str:
    """The chart of the time per call, measured on `date` by a `machine` of some kind."""
    floor = results.calls[1][FLOOR]

    def bars(is_async: bool) -> dict[str, Spread]:
        return {
            contestant.name.removesuffix(" (async)"): ratio(
                results.calls[1][contestant.name], floor
            )
            for contestant in _in(results.calls[1], is_async)
        }

    return bar_chart(
        "Time per call, as a multiple of a hand-signed http.client call: less is better",
        {"Synchronous": bars(is_async=False), "Asynchronous": bars(is_async=True)},
        marked=OURS,
        caption=f"Measured on {date} by make bench, on {machine}",
    )


def report(results: Results, date: str, machine: str, explanations: str) -> str:
    """The results as Markdown.

    Args:
        results: what was measured.
        date: when.
        machine: the kind of machine that measured.
        explanations: why aims are missed, each under a heading that is the key of the aim.
    """
    sections = [
        "# What a call costs",
        f"Measured on {date} by `make bench`, on {machine}, against a server on loopback that does "
        "next to nothing. No figure is typed by hand.\n\n"
        "The contestants take turns in every round, and a ratio compares what was measured in the "
        "same round, so what disturbs the machine disturbs them alike. Given are the median and, "
        "in brackets, the quartiles. The hand-signed contestants sign, send, and make plain tuples "
        "with exact decimals; the others do what their makers found best. Who is not slower than "
        "another in at least three of four rounds shares its place.",
        "![Time per call of every contestant](results.svg)",
        "## Aims",
        _aims(list(judge(results)), explanations),
        "## Time per call",
        *(_calls(results, is_async) for is_async in (False, True)),
        "## Longer lists",
        "Multiples of what the hand-signed `http.client` call took for as many coins.",
        *(_coins(results, is_async) for is_async in (False, True)),
        "## Where the time goes",
        "As a profiler sees it, which makes many small steps look dearer than they are. What is "
        "built into Python is counted where it is called.",
        _profiles(results),
        "## 100 tasks at once",
        _throughput(results),
        "## Import",
        _imports(results),
        "## From the start of a process to its first answer",
        _starts(results),
        "## Memory and disk",
        _memory(results),
        _disk(results),
        "## As work grows",
        _growth(results),
    ]
    if results.out:
        sections += ["## Not measured", _table(["who", "why"], results.out.items())]
    return "\n\n".join(sections) + "\n"


def _in(rounds: Rounds, is_async: bool) -> list[Contestant]:
    return [c for name, c in CONTESTANTS.items() if name in rounds and c.is_async == is_async]


def _table(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ranked(rounds: Rounds, base: list[float] | None = None) -> list[str]:
    """The names, the least first; as multiples of `base`, if it is given."""
    return sorted(
        rounds,
        key=lambda name: (ratio(rounds[name], base) if base else Spread.of(rounds[name])).median,
    )


def _aims(aims: list[Aim], explanations: str) -> str:
    _, *parts = _KEY.split(explanations)
    reasons = dict(zip(parts[::2], parts[1::2], strict=True))
    table = _table(["aim", "measured", ""], [(aim.text, aim.figure, _MET[aim.met]) for aim in aims])
    missed = [
        f"*{aim.text}*: {reasons.get(aim.key, 'not explained yet.').strip()}"
        for aim in aims
        if not aim.met
    ]
    return "\n\n".join([table, *missed])


def _places(rounds: Rounds, base: list[float]) -> dict[str, int]:
    """Who comes where; who is not slower in three of four rounds shares a place."""
    places: dict[str, int] = {}
    first = ""
    for name in _ranked(rounds, base):
        if not first or ratio(rounds[name], rounds[first]).low > 1:
            first = name
            places[name] = len(places) + 1
        else:
            places[name] = places[first]
    return places


def _calls(results: Results, is_async: bool) -> str:
    rounds = results.calls[1]
    kind = {c.name: rounds[c.name] for c in _in(rounds, is_async)}
    places = _places(kind, rounds[FLOOR])
    return _table(
        [
            "asynchronous" if is_async else "synchronous",
            "place",
            "µs",
            f"times {FLOOR}",
            "of its own processor, µs",
        ],
        [
            (
                name,
                str(places[name]),
                Spread.of(kind[name]).times(1e6).text(0),
                ratio(kind[name], rounds[FLOOR]).text(2),
                Spread.of(results.processor[name]).times(1e6).text(0),
            )
            for name in _ranked(kind, rounds[FLOOR])
        ],
    )


def _coins(results: Results, is_async: bool) -> str:
    names = [c.name for c in _in(results.calls[1], is_async)]
    return _table(
        ["asynchronous" if is_async else "synchronous", *(f"coins: {n:,}" for n in results.calls)],
        [
            (
                name,
                *(
                    ratio(rounds[name], rounds[FLOOR]).text(2) if name in rounds else "not measured"
                    for rounds in results.calls.values()
                ),
            )
            for name in names
        ],
    )


def _profiles(results: Results) -> str:
    shares = {
        of: {package: spent / sum(seconds.values()) for package, spent in seconds.items()}
        for of, seconds in results.profiles.items()
    }
    packages = sorted(
        {package for share in shares.values() for package in share},
        key=lambda package: -max(share.get(package, 0) for share in shares.values()),
    )
    return _table(
        ["package", *(f"{name}, coins: {coins:,}" for name, coins in shares)],
        [
            (f"`{package}`", *(f"{share.get(package, 0):.0%}" for share in shares.values()))
            for package in packages
            if any(share.get(package, 0) >= _LEAST_SHARE for share in shares.values())
        ],
    )


def _throughput(results: Results) -> str:
    per_second = {n: [1 / s for s in rounds] for n, rounds in results.throughput.items()}
    return _table(
        ["100 tasks, one client", "calls per second"],
        [(name, Spread.of(per_second[name]).text(0)) for name in reversed(_ranked(per_second))],
    )


def _imports(results: Results) -> str:
    return _table(
        ["import", "ms", "times `import httpx, attrs`"],
        [
            (
                f"`{CONTESTANTS[name].imports}`" if name in CONTESTANTS else "`httpx, attrs`",
                Spread.of(results.imports[name]).times(1e3).text(0),
                ratio(results.imports[name], results.imports[BASELINE]).text(2),
            )
            for name in _ranked(results.imports, results.imports[BASELINE])
        ],
    )


def _starts(results: Results) -> str:
    return _table(
        ["a script, or a command", "ms", f"times {FLOOR}"],
        [
            (
                name,
                Spread.of(results.starts[name]).times(1e3).text(0),
                ratio(results.starts[name], results.starts[FLOOR]).text(2),
            )
            for name in _ranked(results.starts, results.starts[FLOOR])
        ],
    )


def _memory(results: Results) -> str:
    return _table(
        ["most memory held, MB", "after 100 calls", "after 1,000 calls"],
        [
            (name, *(f"{kib * 1024 / 1e6:.1f}" for kib in peaks))
            for name, peaks in sorted(results.peaks.items(), key=lambda item: item[1])
        ],
    )


def _disk(results: Results) -> str:
    return _table(
        ["installed", "version", "distributions", "MB", "MB of compiled modules"],
        [
            (
                name,
                installed.version,
                str(installed.distributions),
                f"{installed.size / 1e6:.1f}",
                f"{installed.compiled / 1e6:.1f}",
            )
            for name, installed in sorted(
                results.environments.items(), key=lambda item: item[1].size
            )
        ],
    )


def _growth(results: Results) -> str:
    return _table(
        ["contestant", "clients", "tasks", "calls per second", "most memory held, MB"],
        _growth_rows(results),
    )


def _growth_rows(results: Results) -> Iterator[tuple[str, ...]]:
    for name, scales in results.scales.items():
        for scale in scales:
            figures = ("too slow to measure", "")
            if scale.turn:
                per_second = 1 / scale.turn.seconds
                figures = f"{per_second:,.0f}", f"{scale.turn.peak_kib * 1024 / 1e6:.1f}"
            yield name, f"{scale.clients:,}", f"{scale.tasks:,}", *figures
