"""What the figures mean: the aims, the tables of results.md, and the charts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks import clients
from benchmarks.clients import AIOHTTP, CLIENTS, HTTPX, HTTPX_ASYNC, OURS, OURS_AIOHTTP, OURS_ASYNC
from benchmarks.fleet import BAN, BUDGET, MINUTE, MINUTES, Run
from benchmarks.fleet import TASKS as FLEET_TASKS

COINS = (1, 10, 100)
TASKS = 100
BASELINE, IMPORT = "import httpx, attrs", "import binance_small_liability"


class Work(NamedTuple):
    """What is measured: a client or an import, the coins in the answer, the tasks that call."""

    name: str
    coins: int = 1
    tasks: int = 1


class Installed(NamedTuple):
    """An environment: the version of its library, and the bytes of each distribution."""

    version: str
    sizes: dict[str, int]


@dataclass
class Results:
    """All figures. `seconds` has one per round; `profiles` explain missed aims."""

    date: str
    machine: str
    installed: dict[str, Installed] = field(default_factory=dict)
    seconds: dict[Work, list[float]] = field(default_factory=dict)
    profiles: dict[Work, Mapping[str, float]] = field(default_factory=dict)
    pacing: dict[str, tuple[int, float]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)

    def ratios(self, work: Work, base: Work) -> list[float]:
        """The quotients of seconds of the same round."""
        pairs = zip(self.seconds[work], self.seconds[base], strict=True)
        return [one / other for one, other in pairs]


def spread(figures: Iterable[float], decimals: int = 2) -> str:
    """The median of at least two figures, and the quartiles around it in brackets."""
    quartiles = quantiles(figures, n=4, method="inclusive")
    low, middle, high = (f"{figure:,.{decimals}f}" for figure in quartiles)
    return f"{middle} ({low} to {high})"


class Aim(NamedTuple):
    """What is wanted, what was measured, and the profile that explains a miss."""

    text: str
    figure: str
    is_met: bool
    profile: Mapping[str, float]


_SYNC, _ASYNC, _AIOHTTP = Work(OURS), Work(OURS_ASYNC), Work(OURS_AIOHTTP)
_TOGETHER, _TOGETHER_AIOHTTP = _ASYNC._replace(tasks=TASKS), _AIOHTTP._replace(tasks=TASKS)
_TIMES = (
    ("A synchronous call takes at most {} times bare httpx", 0.8, _SYNC, HTTPX),
    ("An asynchronous call takes at most {} times bare httpx", 0.9, _ASYNC, HTTPX_ASYNC),
    ("Over aiohttp a call takes at most {} times bare aiohttp", 1.7, _AIOHTTP, AIOHTTP),
    ("Importing takes at most {} times `import httpx, attrs`", 1.15, Work(IMPORT), BASELINE),
)
_RATES = (
    ("100 tasks have at least {} times the throughput of bare httpx", 3, _TOGETHER, HTTPX_ASYNC),
    ("Over aiohttp at least {} times that of bare aiohttp", 0.45, _TOGETHER_AIOHTTP, AIOHTTP),
)
_TYPED = "A call that returns 100 coins is faster than that of every peer with typed results"
_PEERS = (
    ("A call that returns 1 coin is faster than every synchronous peer's", 1, _SYNC),
    ("A call that returns 10 coins is faster than every synchronous peer's", 1, Work(OURS, 10)),
    (f"{_TYPED}, synchronous", 1, Work(OURS, 100)),
    ("100 coins, asynchronous: at most {} times typed-binance", 0.95, Work(OURS_ASYNC, 100)),
    ("Over aiohttp a call takes at most {} times the fastest peer's", 1.8, _AIOHTTP),
)


def aims(results: Results) -> Iterator[Aim]:
    """Every aim."""
    for text, limit, work, base in _TIMES:
        ratios = results.ratios(work, work._replace(name=base))
        is_met = median(ratios) <= limit
        yield Aim(text.format(limit), spread(ratios), is_met, results.profiles[work])
    for text, limit, work, base in _RATES:
        ratios = results.ratios(work._replace(name=base), work)
        is_met = median(ratios) >= limit
        yield Aim(text.format(limit), spread(ratios), is_met, results.profiles[work])
    for text, limit, work in _PEERS:
        peers = [
            (results.ratios(work, work._replace(name=name)), name)
            for name, peer in CLIENTS.items()
            if peer.is_peer and clients.is_async(name) == clients.is_async(work.name)
            if peer.is_typed or work.coins != COINS[-1]
        ]
        ratios, fastest = max(peers, key=lambda peer: median(peer[0]))
        figure, is_met = f"{spread(ratios)} times {fastest}", median(ratios) <= limit
        yield Aim(text.format(limit), figure, is_met, results.profiles[work])
    sizes = results.installed[OURS].sizes
    megabytes = round(sum(sizes.values()) / 1e6, 1)
    yield Aim("At most 9 distributions, this one included", str(len(sizes)), len(sizes) <= 9, sizes)
    text = "At most 2.6 MB installed, without compiled modules"
    yield Aim(text, f"{megabytes} MB", megabytes <= 2.6, sizes)
    yield from _fleet_aims(results)
    for kind in ("", " (async)"):
        names = (clients.SHARED, clients.CALL, clients.GET)
        shared, call, get = (Work(f"{name}{kind}") for name in names)
        rounds = zip(*(results.seconds[work] for work in (shared, call, get)), strict=True)
        trips = [(one - other) / trip for one, other, trip in rounds]
        text = f"A {shared.name} takes at most 3.5 round trips of a GET longer"
        yield Aim(text, spread(trips), median(trips) <= 3.5, results.profiles[shared])


def _fleet_aims(results: Results) -> Iterator[Aim]:
    for name, run in results.runs.items():
        by_minute, profile = run.by_minute(), run.profile()
        refused = len(run.requests) - len(run.answered())
        others = run.processes * FLEET_TASKS - 1
        if name == BAN:
            text = "After a ban, every other task or thread sends at most the request in flight"
            figure = f"{run.late} requests of {others} tasks and threads"
            yield Aim(text, figure, run.late <= others, profile)
        elif run.is_shared or run.processes == 1:
            text = f"{name}: at least 99 % of each minute's budget is used, nothing is refused"
            figure = f"{', '.join(map(str, by_minute))} of {BUDGET} calls, {refused} refused"
            is_met = min(by_minute) >= 0.99 * BUDGET and not refused
            yield Aim(text, figure, is_met, profile)


def _table(head: str, rows: Iterable[Iterable[object]]) -> str:
    columns = head.split("|")
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join(f"| {' | '.join(str(cell).strip() for cell in line)} |" for line in lines)


def _by_speed(results: Results) -> dict[str, float]:
    """The median microseconds of every client's call that returns one coin."""
    medians = {name: median(results.seconds[Work(name)]) * 1e6 for name in CLIENTS}
    names = sorted(medians, key=lambda name: (clients.is_async(name), medians[name]))
    return {name: medians[name] for name in names}


def _aims(results: Results) -> str:
    rows = [(*each[:2], "met" if each.is_met else "**missed**") for each in aims(results)]
    return _table("aim | measured | ", rows)


def _profiles(results: Results) -> Iterator[str]:
    missed: dict[str, list[str]] = {}
    for aim in aims(results):
        if not aim.is_met:
            total = sum(aim.profile.values())
            most = sorted(aim.profile.items(), key=lambda part: -part[1])[:10]
            shares = [(f"`{name}`", f"{part / total:.0%}") for name, part in most]
            missed.setdefault(_table("part | share", shares), []).append(aim.text)
    for table, texts in missed.items():
        yield f"Missed: *{'; '.join(texts)}*. The functions or files with the largest shares:"
        yield table


def _calls(results: Results) -> Iterator[str]:
    def cells(*works: Work) -> list[str]:
        seconds = [results.seconds.get(work) for work in works]
        return [spread((x * 1e6 for x in each), 0) if each else "" for each in seconds]

    yield _table(
        "µs per call | 1 coin | 10 coins | 100 coins | 100 tasks",
        [
            (name, *cells(*(Work(name, n) for n in COINS), Work(name, tasks=TASKS)))
            for name in _by_speed(results)
        ],
    )
    names = [BASELINE, IMPORT, *clients.ROUND_TRIPS]
    yield _table("imports, and calls with Redis | µs", [(x, *cells(Work(x))) for x in names])
    yield _table(
        "environment | version | distributions | MB without compiled modules",
        [
            (name, version, len(sizes), f"{sum(sizes.values()) / 1e6:.1f}")
            for name, (version, sizes) in results.installed.items()
        ],
    )


def _fleet(results: Results) -> Iterator[str]:
    rows = [
        (name, *run.by_minute(), *(run.statuses()[status] for status in (200, 429, 418)))
        for name, run in results.runs.items()
    ]
    yield _table("fleet | minute 1 | minute 2 | minute 3 | answered | 429 | 418", rows)
    yield (
        "No peer shares limits between processes. One client of each peer calls as fast as it does "
        f"on its own. The budget is {BUDGET} calls per minute."
    )
    yield _table(
        "peer | calls until the first refusal | seconds | at this pace, calls per minute",
        [
            (name, calls, f"{seconds:.2f}", f"{calls / seconds * 60:,.0f}")
            for name, (calls, seconds) in results.pacing.items()
        ],
    )


def text(results: Results) -> str:
    """The results as Markdown."""
    blocks = [
        '---\ndescription: "What a call costs, compared with other clients of Binance."\n---',
        "# What a call costs",
        f"Measured on {results.date} by `make bench`, on {results.machine}. The server runs on the "
        "same machine and takes little time. The clients take turns in every round. A ratio "
        "compares figures of the same round. Each figure is a median, with the quartiles in "
        "brackets.",
        "![Time per call of every client](results.svg)",
        "## Calls, imports, installation",
        *_calls(results),
        "## Many processes, one address",
        f"The processes call the fake Binance as fast as they may, for {MINUTES} whole minutes of "
        f"{BUDGET} calls. In the minute before, they start one after another. Each has "
        f"{FLEET_TASKS} tasks; every second one has {FLEET_TASKS} threads instead. A minute lasts "
        f"{MINUTE:g} s here. The margins for clocks that differ are shortened in "
        "proportion. A ban lasts 2 minutes of 60 s.",
        "![Answered calls of 16 processes](fleet.svg)",
        *_fleet(results),
        "## Aims",
        "The aims call the hand-signed clients bare. They return plain tuples with exact decimals. "
        "All others return what their users get.",
        _aims(results),
        *_profiles(results),
    ]
    return "\n\n".join(blocks) + "\n"


_STYLE = """
svg { background: #fff; }
text { font: 12px system-ui, sans-serif; fill: #1f2328; } .head { font-weight: 600; }
.bar { fill: #8c959f; } .ours { fill: #0969da; }
path.bar, path.ours { fill: none; stroke: #8c959f; stroke-width: 2; } path.ours { stroke: #0969da; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; }
  text { fill: #e6edf3; } .ours { fill: #4493f8; } path.ours { stroke: #4493f8; }
}"""
WIDTH = 400  # about that of a phone, so that its text stays readable there


def _svg(title: str, height: float, shapes: Iterable[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:g}" width="{1.5 * WIDTH:g}" height="{1.5 * height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">'
    shown = _label(4, 16, title, kind="head")
    return "\n".join([head, f"<style>{_STYLE}</style>", shown, *shapes, "</svg>\n"])


def _label(x: float, y: float, content: str, anchor: str = "start", kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(content)}</text>'


def bars(results: Results) -> str:
    """A chart of the time per call, in two groups; all bars have one scale."""
    microseconds, shapes = _by_speed(results), []
    y = 24
    for group in (False, True):
        shapes.append(_label(4, y + 16, "asynchronous" if group else "synchronous", kind="head"))
        y += 24
        for name, each in microseconds.items():
            if clients.is_async(name) is group:
                width = 150 * each / max(microseconds.values())
                kind = "ours" if name.startswith(OURS) else "bar"
                shapes += [
                    _label(198, y + 12, name.removesuffix(" (async)"), "end"),
                    f'<rect class="{kind}" x="204" y="{y}" width="{width:.1f}" height="15"/>',
                    _label(208 + width, y + 12, f"{each:,.0f}"),
                ]
                y += 20
    return _svg("Microseconds per call that returns one coin: less is better", y + 6, shapes)


def lines(runs: Iterable[Run]) -> str:
    """A chart of the answered calls of fleets, with and without RedisLimits."""
    left, bottom, minute = 34, 230, 86
    right, call = left + (MINUTES + 1) * minute, 190 / (BUDGET * (MINUTES + 1))
    shapes = [_label(right, bottom + 18, "minutes", "end")]
    shapes += [_label(left + (m + 1) * minute, bottom + 18, str(m)) for m in range(MINUTES)]
    shapes += [_label(left - 6, bottom - n * call + 5, str(n), "end") for n in (0, 240, 480)]
    for run in runs:
        kind, name = ("ours", "with") if run.is_shared else ("bar", "without")
        path, height = f"M{left} {bottom}", float(bottom)
        for number, moment in enumerate(run.answered(), 1):
            height = bottom - number * call
            path += f"H{left + (moment + 1) * minute:.1f}V{height:.1f}"
        shapes.append(f'<path class="{kind}" d="{path}H{right}"/>')
        shapes.append(_label(right, height - 6, f"{name} RedisLimits", "end"))
    return _svg("Answered calls of 16 processes behind one address", bottom + 28, shapes)


def write(results: Results, folder: Path) -> None:
    """Writes results.md and the charts."""
    (folder / "results.md").write_text(text(results), "utf-8")
    (folder / "results.svg").write_text(bars(results), "utf-8")
    most = [run for name, run in results.runs.items() if run.processes == 16 and name != BAN]
    (folder / "fleet.svg").write_text(lines(most), "utf-8")
