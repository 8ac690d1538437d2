"""The clients with which the tests make calls."""

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeAlias

from binance_small_liability import AsyncSmallLiabilityClient, SmallLiabilityClient
from binance_small_liability._io.threads import run
from binance_small_liability.aiohttp import AiohttpTransport

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
API_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
CREDENTIALS: dict[str, Any] = {"api_key": API_KEY, "api_secret": API_SECRET}


# Makes a client with options, calls the function with it, and closes it.
RunClient: TypeAlias = Callable[..., Any]


def run_sync(call: Callable[[Any], Any], **options: Any) -> Any:
    with SmallLiabilityClient(**CREDENTIALS | options) as client:
        return call(client)


def run_async(call: Callable[[Any], Any], **options: Any) -> Any:
    async def calling() -> Any:
        async with AsyncSmallLiabilityClient(**CREDENTIALS | options) as client:
            return await call(client)

    return asyncio.run(calling())


def run_aiohttp(call: Callable[[Any], Any], **options: Any) -> Any:
    proxy = options.pop("proxy", None)
    return run_async(call, transport=AiohttpTransport(proxy=proxy), **options)


CLIENTS: dict[str, RunClient] = {"sync": run_sync, "async": run_async, "aiohttp": run_aiohttp}


async def list_coins(client: Any) -> Any:
    """Calls a client of either kind."""
    called = client.list_coins()
    return await called if isawaitable(called) else called


def run_scenario(client: RunClient, scenario: Callable[[Any], Any], **options: Any) -> Any:
    """Runs a coroutine function with a client; the calls of a synchronous one never suspend."""

    def call(opened: Any) -> Any:
        return (
            run(scenario(opened)) if isinstance(opened, SmallLiabilityClient) else scenario(opened)
        )

    return client(call, **options)
