"""What this project wants to reach, and whether it does."""

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.contestants import (
    CONTESTANTS,
    HTTPX,
    HTTPX_ASYNC,
    OURS,
    OURS_AIOHTTP,
    OURS_ASYNC,
    YARDSTICK,
)
from benchmarks.figures import ratio
from benchmarks.measuring import BASELINE, Results, Rounds

_ASYNC_RATIO = _SYNC_RATIO = 1.10
_DECODING_RATIO = 1.5
_MANY_COINS = 1000
_IMPORT_RATIO = 1.25
_DISTRIBUTIONS = 11
_SIZE = 4.0  # MB
# One hundredth: what the allocator of memory may round up.
_GROWTH = 1.01


class Aim(NamedTuple):
    """One aim.

    Attributes:
        key: the heading in `explanations.md` under which it is explained if it is missed.
        text: what is wanted.
        figure: what was measured.
        met: None if it could not be measured.
    """

    key: str
    text: str
    figure: str = "not measured"
    met: bool | None = None

    def judged(self, figure: str, met: bool) -> "Aim":
        """The same, with what was measured."""
        return self._replace(figure=figure, met=met)


def judge(results: Results) -> Iterator[Aim]:
    """Every aim with its figure."""
    yield _at_most(
        Aim("sync", f"A synchronous call takes at most {_SYNC_RATIO:.2f} times bare httpx"),
        results.calls[1],
        OURS,
        HTTPX,
        _SYNC_RATIO,
    )
    yield _quicker_than_peers(
        Aim("sync-peers", "A synchronous call is quicker than that of every peer"),
        results.calls[1],
        OURS,
    )
    yield _at_most(
        Aim("async", f"An asynchronous call takes at most {_ASYNC_RATIO:.2f} times bare httpx"),
        results.calls[1],
        OURS_ASYNC,
        HTTPX_ASYNC,
        _ASYNC_RATIO,
    )
    yield _quicker_than_peers(
        Aim("async-peers", "With `[aiohttp]`, an asynchronous call is quicker than every peer's"),
        results.calls[1],
        OURS_AIOHTTP,
    )
    yield _decoding(results)
    yield _at_most(
        Aim("import", f"Importing takes at most {_IMPORT_RATIO:.2f} times `import httpx, attrs`"),
        results.imports,
        OURS,
        BASELINE,
        _IMPORT_RATIO,
    )
    yield _imported(results)
    yield from _installed(results)
    yield _memory(results)


def _at_most(aim: Aim, rounds: Rounds, ours: str, other: str, limit: float) -> Aim:
    if ours not in rounds or other not in rounds:
        return aim
    measured = ratio(rounds[ours], rounds[other])
    return aim.judged(measured.text(2), measured.median <= limit)


def _quicker_than_peers(aim: Aim, rounds: Rounds, ours: str) -> Aim:
    if ours not in rounds:
        return aim
    peers = {
        name: ratio(rounds[ours], rounds[name])
        for name, peer in CONTESTANTS.items()
        if peer.is_peer and peer.is_async == CONTESTANTS[ours].is_async and name in rounds
    }
    if not peers:
        return aim
    closest = max(peers, key=lambda name: peers[name].median)
    return aim.judged(f"{peers[closest].text(2)} times {closest}", peers[closest].median < 1)


def _decoding(results: Results) -> Aim:
    aim = Aim(
        "decoding",
        f"{_MANY_COINS:,} coins take at most {_DECODING_RATIO} times `json.loads` with exact "
        "decimals and plain tuples, over and above the call itself",
    )
    rounds = results.calls[_MANY_COINS]
    if not {OURS, HTTPX, YARDSTICK.name} <= rounds.keys():
        return aim
    least = rounds[YARDSTICK.name]
    # Bare httpx decodes too: the call itself is what it takes without that.
    calls = [bare - decoding for bare, decoding in zip(rounds[HTTPX], least, strict=True)]
    above = [ours - call for ours, call in zip(rounds[OURS], calls, strict=True)]
    measured = ratio(above, least)
    return aim.judged(measured.text(2), measured.median <= _DECODING_RATIO)


def _imported(results: Results) -> Aim:
    packages = sorted({module.partition(".")[0] for module in results.imported})
    extras = {"aiohttp", "cryptography"}
    return Aim("imported", "Importing brings in no extra, even where it is installed").judged(
        "beyond httpx and attrs: " + (", ".join(packages) or "nothing"),
        extras.isdisjoint(packages),
    )


def _installed(results: Results) -> Iterator[Aim]:
    environment = results.environments[CONTESTANTS[OURS].environment]
    yield Aim(
        "distributions", f"At most {_DISTRIBUTIONS} distributions at run time, ours included"
    ).judged(str(environment.distributions), environment.distributions <= _DISTRIBUTIONS)
    size = environment.size / 1e6
    yield Aim("size", f"At most {_SIZE:.0f} MB installed, compiled modules apart").judged(
        f"{size:.1f} MB", size <= _SIZE
    )


def _memory(results: Results) -> Aim:
    aim = Aim("memory", "1,000 calls on one client leave the peak of memory where 100 left it")
    figures = [
        (name, many / few)
        for name, (few, many) in results.peaks.items()
        if name in (OURS, OURS_ASYNC, OURS_AIOHTTP)
    ]
    if not figures:
        return aim
    name, growth = max(figures, key=lambda figure: figure[1])
    return aim.judged(f"{growth:.3f} times, {name}", growth <= _GROWTH)
