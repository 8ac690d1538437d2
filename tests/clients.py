"""The clients with which the tests make calls."""

import asyncio
import sys
from collections.abc import Callable
from importlib import import_module
from inspect import isawaitable
from types import FrameType
from typing import Any, TypeAlias

import attrs
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    SmallLiabilityClient,
    SmallLiabilityError,
    operations,
)
from binance_small_liability._io.threads import run
from binance_small_liability.aiohttp import AiohttpTransport

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
API_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
CREDENTIALS: dict[str, Any] = {"api_key": API_KEY, "api_secret": API_SECRET}
# A read with limits of its own: figures that tests of pacing need do not follow the contract.
PACED = attrs.evolve(
    operations.list_coins,
    weight=100,
    weight_per_minute=12_000,
    limiter="IP",
    weight_header="X-SAPI-USED-IP-WEIGHT-1M",
)


# Makes a client with options, calls the function with it, and closes it.
RunClient: TypeAlias = Callable[..., Any]


def run_sync(call: Callable[[Any], Any], **options: Any) -> Any:
    with SmallLiabilityClient(**CREDENTIALS | options) as client:
        return call(client)


def run_async(call: Callable[[Any], Any], **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncSmallLiabilityClient(**CREDENTIALS | options) as client:
            return await call(client)

    return asyncio.run(run())


def run_aiohttp(call: Callable[[Any], Any], **options: Any) -> Any:
    proxy = options.pop("proxy", None)
    return run_async(call, transport=AiohttpTransport(proxy=proxy), **options)


CLIENTS: dict[str, RunClient] = {"sync": run_sync, "async": run_async, "aiohttp": run_aiohttp}


def pandas() -> Any:
    """The package. Importing it takes 0.7 s in each process of xdist."""
    return import_module("pandas")


async def finished(result: Any) -> Any:
    """What a call of a client of either kind returns."""
    return await result if isawaitable(result) else result


def run_scenario(client: RunClient, scenario: Callable[[Any], Any], **options: Any) -> Any:
    """Runs a coroutine function with a client; the calls of a synchronous one never suspend."""

    def call(opened: Any) -> Any:
        is_sync = isinstance(opened, SmallLiabilityClient)
        return run(scenario(opened)) if is_sync else scenario(opened)

    return client(call, **options)


def in_turn(*steps: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Calls of one client, one after another. Errors of the package are results, too."""

    async def calls(client: Any) -> list[Any]:
        results = []
        for step in steps:
            try:
                results.append(await finished(step(client)))
            except SmallLiabilityError as error:
                results.append(error)
        return results

    return lambda client: run_scenario(lambda call: call(client), calls)


def interrupted(
    call: Callable[[], object], lines: int, begun: Callable[[], object] = lambda: True
) -> BaseException | None:
    """What `call` raises if Ctrl-C is pressed after so many lines of the package.

    They are counted from the moment when `begun` is true.
    """
    left = lines

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if "binance_small_liability" not in frame.f_code.co_filename:
            return None
        if event == "line" and begun():
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except BaseException as error:
        return error if left <= 0 else None
    finally:
        sys.settrace(before)
    assert left > 0, "nothing was raised, although Ctrl-C was pressed"
    return None
