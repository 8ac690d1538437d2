"""What the figures mean: the aims, the tables of results.md, and the charts."""

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks import fleet
from benchmarks.clients import AIOHTTP, CLIENTS, HTTPX, HTTPX_ASYNC, OURS, OURS_AIOHTTP, OURS_ASYNC
from benchmarks.fleet import BUDGET, MINUTE, MINUTES, THREADS, Run

BASELINE = "httpx, attrs"
Rounds = dict[str, list[float]]  # seconds in each round, by name


class Spread(NamedTuple):
    """The quartiles of many figures."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float], unit: float = 1.0) -> "Spread":
        """The quartiles of at least two figures, in a unit of so many seconds."""
        return cls(*statistics.quantiles((x / unit for x in figures), n=4, method="inclusive"))

    def text(self, decimals: int) -> str:
        """The median, and the quartiles around it in brackets."""
        low, median, high = (f"{figure:,.{decimals}f}" for figure in self)
        return f"{median} ({low} to {high})"


def ratio(figures: list[float], base: list[float]) -> Spread:
    """The quotients of figures of the same round."""
    return Spread.of(one / other for one, other in zip(figures, base, strict=True))


class Installed(NamedTuple):
    """An environment: the version of its library, its distributions, and its size in bytes."""

    version: str
    distributions: int
    size: int


@dataclass
class Results:
    """All figures. Those of `calls` are by the number of coins, the others by name."""

    date: str
    machine: str
    installed: dict[str, Installed] = field(default_factory=dict)
    calls: dict[int, Rounds] = field(default_factory=dict)
    together: Rounds = field(default_factory=dict)
    imports: Rounds = field(default_factory=dict)
    round_trips: Rounds = field(default_factory=dict)
    profiles: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    pacing: dict[str, tuple[int, float]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)


class Aim(NamedTuple):
    """What is wanted, what was measured, and the name of the profile that explains a miss."""

    text: str
    figure: str
    met: bool
    profile: str = ""


def aims(results: Results) -> Iterator[Aim]:
    """Every aim."""
    yield from _call_aims(results)
    yield from _installation_aims(results)
    yield from _fleet_aims(results)


def _at_most(text: str, limit: float, measured: Spread, profile: str) -> Aim:
    return Aim(text.format(limit), measured.text(2), measured.median <= limit, profile)


def _beside_peers(text: str, rounds: Rounds, ours: str, limit: float, *, typed: bool) -> Aim:
    """Judges by the peer that is fastest beside ours."""
    quotients = {
        name: ratio(rounds[ours], rounds[name])
        for name, client in CLIENTS.items()
        if client.is_peer and client.is_async == CLIENTS[ours].is_async
        if client.is_typed or not typed
    }
    fastest = max(quotients, key=lambda name: quotients[name].median)
    figure = f"{quotients[fastest].text(2)} times {fastest}"
    return Aim(text, figure, quotients[fastest].median <= limit, ours)


def _call_aims(results: Results) -> Iterator[Aim]:
    one, together = results.calls[1], results.together
    for text, limit, ours, base in (
        ("A synchronous call takes at most {:.2f} times bare httpx", 0.8, OURS, HTTPX),
        (
            "An asynchronous call takes at most {:.2f} times bare httpx",
            0.9,
            OURS_ASYNC,
            HTTPX_ASYNC,
        ),
        ("Over aiohttp a call takes at most {} times bare aiohttp", 1.7, OURS_AIOHTTP, AIOHTTP),
    ):
        yield _at_most(text, limit, ratio(one[ours], one[base]), ours)
    for text, limit, ours, base in (
        (
            "100 tasks have at least {} times the throughput of bare httpx",
            3,
            OURS_ASYNC,
            HTTPX_ASYNC,
        ),
        (
            "Over aiohttp they have at least {} times that of bare aiohttp",
            0.45,
            OURS_AIOHTTP,
            AIOHTTP,
        ),
    ):
        measured = ratio(together[base], together[ours])
        yield Aim(text.format(limit), measured.text(2), measured.median >= limit, ours)
    for coins in (1, 10):
        text = f"A synchronous call is faster than every peer's, coins: {coins}"
        yield _beside_peers(text, results.calls[coins], OURS, 1, typed=False)
    for ours in (OURS, OURS_ASYNC):
        kind = "An asynchronous" if CLIENTS[ours].is_async else "A synchronous"
        text = f"{kind} call is faster than every peer's with typed results, coins: 100"
        yield _beside_peers(text, results.calls[100], ours, 1, typed=True)
    text = "Over aiohttp a call takes at most 1.8 times that of the fastest asynchronous peer"
    yield _beside_peers(text, one, OURS_AIOHTTP, 1.8, typed=False)


def _installation_aims(results: Results) -> Iterator[Aim]:
    imports, installed = results.imports, results.installed[OURS]
    text = "Importing takes at most {} times `import httpx, attrs`"
    yield _at_most(text, 1.15, ratio(imports[OURS], imports[BASELINE]), "")
    number, size = installed.distributions, round(installed.size / 1e6, 1)
    yield Aim("At most 9 distributions, this one included", str(number), number <= 9)
    yield Aim("At most 2.6 MB installed, without compiled modules", f"{size} MB", size <= 2.6)


def _fleet_aims(results: Results) -> Iterator[Aim]:
    for name, run in results.runs.items():
        if name != fleet.BAN and (run.shared or run.processes == 1):
            refused = sum(run.statuses.values()) - len(run.answered)
            text = f"{name} use at least 99 % of each minute's budget and are never refused"
            figure = f"{', '.join(map(str, run.by_minute()))} of {BUDGET} calls, {refused} refused"
            yield Aim(text, figure, min(run.by_minute()) >= 0.99 * BUDGET and not refused)
    banned = results.runs[fleet.BAN]
    others = banned.processes * THREADS - 1
    text = "After a ban, every other thread or task sends at most the request in flight"
    figure = f"{len(banned.late)} requests of {others} threads and tasks"
    yield Aim(text, figure, len(banned.late) <= others)
    trips = results.round_trips
    for shared, call, get in (
        (fleet.SHARED, fleet.CALL, fleet.GET),
        (fleet.SHARED_ASYNC, fleet.CALL_ASYNC, fleet.GET_ASYNC),
    ):
        added = [one - other for one, other in zip(trips[shared], trips[call], strict=True)]
        text = f"A {shared} takes at most {{}} round trips of a GET longer"
        yield _at_most(text, 1.5, ratio(added, trips[get]), shared)


def _table(head: str, rows: Iterable[Iterable[object]]) -> str:
    columns = head.split("|")
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join(f"| {' | '.join(str(cell).strip() for cell in line)} |" for line in lines)


def _by_speed(results: Results) -> list[str]:
    medians = {name: statistics.median(each) for name, each in results.calls[1].items()}
    return sorted(medians, key=lambda name: (CLIENTS[name].is_async, medians[name]))


def _calls(results: Results) -> str:
    rows = [
        [name, *(Spread.of(rounds[name], 1e-6).text(0) for rounds in results.calls.values())]
        for name in _by_speed(results)
    ]
    return _table("µs per call | 1 coin | 10 coins | 100 coins", rows)


def _together(results: Results) -> str:
    rates = {name: Spread.of(1 / x for x in each) for name, each in results.together.items()}
    rows = sorted(rates.items(), key=lambda row: -row[1].median)
    head = "100 tasks that share a client | calls per second"
    return _table(head, ((name, rate.text(0)) for name, rate in rows))


def _fleet(results: Results) -> str:
    rows = [
        (name, *run.by_minute(), *(run.statuses.get(status, 0) for status in (200, 429, 418)))
        for name, run in results.runs.items()
    ]
    return _table("fleet | minute 1 | minute 2 | minute 3 | answered | 429 | 418", rows)


def _missed(results: Results) -> Iterator[str]:
    missed = [aim for aim in aims(results) if not aim.met]
    for name in dict.fromkeys(aim.profile for aim in missed):
        texts = "; ".join(aim.text for aim in missed if aim.profile == name)
        yield f"Missed: *{texts}*."
        if name in results.profiles:
            yield f"The functions that take most of the time of {name}, as a profiler sees it:"
            yield _table(
                "function | share",
                ((f"`{function}`", f"{share:.0%}") for function, share in results.profiles[name]),
            )


def text(results: Results) -> str:
    """The results as Markdown."""
    ms = {name: Spread.of(rounds, 1e-3).text(0) for name, rounds in results.imports.items()}
    trips = {name: Spread.of(rounds, 1e-6).text(0) for name, rounds in results.round_trips.items()}
    sections = [
        "# What a call costs",
        f"Measured on {results.date} by `make bench`, on {results.machine}. The server runs on the "
        "same machine and takes little time. The clients take turns in every round. A ratio "
        "compares figures of the same round. Each figure is a median, with the quartiles in "
        "brackets. The hand-signed clients make plain tuples with exact decimals. All others "
        "return what their users get.",
        "![Time per call of every client](results.svg)",
        "## Aims",
        _table(
            "aim | measured | ",
            [(aim.text, aim.figure, "met" if aim.met else "**missed**") for aim in aims(results)],
        ),
        *_missed(results),
        "## Time per call",
        _calls(results),
        _together(results),
        "## Import and installation",
        _table("import | ms", [(f"`import {name.replace('-', '_')}`", ms[name]) for name in ms]),
        _table(
            "environment | version | distributions | MB without compiled modules",
            [
                (name, *each[:2], f"{each.size / 1e6:.1f}")
                for name, each in results.installed.items()
            ],
        ),
        "## Many processes, one address",
        f"The processes call the fake Binance as fast as they may, for {MINUTES} whole minutes of "
        f"{BUDGET} calls and the half minute before. Each has {THREADS} threads, every second one "
        f"{THREADS} tasks instead. A minute lasts {MINUTE:g} s here. The second that a client "
        "leaves for clocks that differ is shortened in proportion. A ban lasts 2 minutes of 60 s.",
        "![Answered calls of 16 processes](fleet.svg)",
        _fleet(results),
        "What RedisLimits adds to a call, beside a plain `GET`, over loopback:",
        _table("round trips | µs", trips.items()),
        f"No peer shares limits between processes. One client of each peer calls as fast as it "
        f"does on its own. The budget is {BUDGET} calls per minute.",
        _table(
            "peer | calls until the first refusal | seconds | at this pace, calls per minute",
            [
                (name, calls, f"{seconds:.2f}", f"{calls / seconds * 60:,.0f}")
                for name, (calls, seconds) in results.pacing.items()
            ],
        ),
    ]
    return "\n\n".join(sections) + "\n"


_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.bar { fill: #8c959f; } .ours { fill: #0969da; }
path { fill: none; stroke: #8c959f; stroke-width: 2; } path.ours { stroke: #0969da; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .ours { fill: #4493f8; } path.ours { stroke: #4493f8; fill: none; }
}"""


def _svg(title: str, height: float, shapes: Iterable[str]) -> str:
    size = f'viewBox="0 0 760 {height:g}" width="760" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">'
    return "\n".join([head, f"<style>{_STYLE}</style>", _label(0, 16, title), *shapes, "</svg>\n"])


def _label(x: float, y: float, content: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(content)}</text>'


def bars(results: Results) -> str:
    """A chart of the time per call; all bars have one scale."""
    microseconds = {
        name: statistics.median(results.calls[1][name]) * 1e6 for name in _by_speed(results)
    }
    longest, shapes, y = max(microseconds.values()), [], 30
    for name in microseconds:
        kind, width = "ours" if name.startswith(OURS) else "bar", 400 * microseconds[name] / longest
        shapes += [
            _label(290, y + 13, name, "end"),
            f'<rect class="{kind}" x="300" y="{y}" width="{width:.1f}" height="16"/>',
            _label(308 + width, y + 13, f"{microseconds[name]:,.0f}"),
        ]
        y += 24
    return _svg("Microseconds per call that returns one coin: less is better", y, shapes)


def lines(runs: Mapping[str, Run]) -> str:
    """A chart of the answered calls of 16 processes, with and without RedisLimits."""
    left, right, bottom = 40, 560, 230
    height = 200 / (BUDGET * (MINUTES + 1))
    width = (right - left) / (MINUTES + 0.5)
    shapes = [_label(right, bottom + 20, "minutes", "end")]
    shapes += [_label(left + (m + 0.5) * width, bottom + 20, str(m)) for m in range(MINUTES)]
    shapes += [_label(left - 8, bottom - n * height + 5, str(n), "end") for n in (0, 240, 480)]
    for name, run in runs.items():
        steps = [
            f"H{left + (moment + 0.5) * width:.1f}V{bottom - number * height:.1f}"
            for number, moment in enumerate(run.answered, 1)
        ]
        kind = ' class="ours"' if run.shared else ""
        shapes.append(f'<path{kind} d="M{left} {bottom}{"".join(steps)}H{right}"/>')
        shapes.append(_label(right + 8, bottom - len(run.answered) * height + 5, name[13:]))
    return _svg("Answered calls of 16 processes behind one address", bottom + 30, shapes)


def write(results: Results, folder: Path) -> None:
    """Writes results.md and the charts."""
    (folder / "results.md").write_text(text(results), "utf-8")
    (folder / "results.svg").write_text(bars(results), "utf-8")
    most = {name: run for name, run in results.runs.items() if run.processes == 16}
    most.pop(fleet.BAN)
    (folder / "fleet.svg").write_text(lines(most), "utf-8")
