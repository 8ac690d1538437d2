"""httpx clients that retry, and return only the success that the contract documents."""

import threading
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

import httpx
from tenacity import AsyncRetrying, Retrying

from . import _time
from ._answer import ENCODINGS, Answer
from ._auth import PARAMS, BinanceAuth
from ._call import Call
from ._clock import Correction
from ._config import Config
from ._cookieless import Cookieless
from ._correction import TIME_PATH, correcting
from ._deadline import AsyncHTTPTransport, HTTPTransport
from ._errors import ConfigurationError
from ._limits import Limits
from ._network import open_transport, takes_target
from ._slots import AsyncSlots, Slots
from ._transport import AsyncTransport, Transport

if TYPE_CHECKING:
    import anyio


class Session(Cookieless, httpx.Client):
    """Sends signed requests, as often as they may be sent."""

    def __init__(self, config: Config, auth: BinanceAuth) -> None:
        transport = open_transport(config, httpx.BaseTransport, HTTPTransport)
        super().__init__(
            transport=Transport(transport, takes_target=takes_target(config)),
            auth=auth,
            **_settings(config),
        )
        self.limits = _limits(config)
        self._clock = auth.clock
        self._slots = Slots(config.timeout)
        self._correcting = threading.Lock()
        self._call = partial(Call, config, self.limits)
        self._url = _urls(config)

    def build_request(
        self, method: str, url: httpx.URL | str, *, params: Any = None, **options: Any
    ) -> httpx.Request:
        """Builds a request for a path; BinanceAuth adds `params` to it."""
        request = super().build_request(method, self._url(str(url)), **options)
        request.extensions[PARAMS] = params or {}
        return request

    def send(self, request: httpx.Request, **options: Any) -> Answer:
        """Sends `request`. Raises SmallLiabilityError for all but the documented success."""
        call = self._call(request)
        retrying = Retrying(sleep=_time.sleep, **call.retrying())
        return retrying(self._attempt, call, options)

    def _attempt(self, call: Call, options: dict[str, Any]) -> Answer:
        with call.attempt():
            before = self._clock.correction
            answer = self._receive(call, options)
            if answer.refuses_clock and call.correction is None:
                call.correction = self._correct_clock(before)
                if call.correction.problem is None:
                    answer = self._receive(call, options)
            return call.success(answer)

    def _receive(self, call: Call, options: dict[str, Any]) -> Answer:
        while True:
            self._pause()
            with self._slots:
                # A limit may have been broken while this waited for its turn.
                if next(self.limits.pauses(), None) is None:
                    _refuse_if_closed(self.is_closed)
                    call.sends()
                    return call.received(cast(Answer, super().send(call.request, **options)))

    def _pause(self) -> None:
        for seconds in self.limits.pauses():
            _time.sleep(seconds)

    def _correct_clock(self, before: Correction) -> Correction:
        # Under a lock: of many calls that were refused together, one asks for the time.
        with self._correcting:
            if self._clock.correction is before:
                self._pause()
                request = self.build_request("GET", TIME_PATH)
                with correcting(self._clock, self.limits) as note:
                    note(cast(Answer, super().send(request, auth=None)))
            return self._clock.correction


class AsyncSession(Cookieless, httpx.AsyncClient):
    """Sends signed requests, as often as they may be sent."""

    def __init__(self, config: Config, auth: BinanceAuth) -> None:
        transport = open_transport(config, httpx.AsyncBaseTransport, AsyncHTTPTransport)
        super().__init__(
            transport=AsyncTransport(transport, takes_target=takes_target(config)),
            auth=auth,
            **_settings(config),
        )
        self.limits = _limits(config)
        self._clock = auth.clock
        self._slots = AsyncSlots(config.timeout)
        self._correcting: anyio.Lock | None = None
        self._call = partial(Call, config, self.limits)
        self._url = _urls(config)

    def build_request(
        self, method: str, url: httpx.URL | str, *, params: Any = None, **options: Any
    ) -> httpx.Request:
        """Builds a request for a path; BinanceAuth adds `params` to it."""
        request = super().build_request(method, self._url(str(url)), **options)
        request.extensions[PARAMS] = params or {}
        return request

    async def send(self, request: httpx.Request, **options: Any) -> Answer:
        """Sends `request`. Raises SmallLiabilityError for all but the documented success."""
        call = self._call(request)
        retrying = AsyncRetrying(sleep=_time.async_sleep, **call.retrying())
        return await retrying(self._attempt, call, options)

    async def _attempt(self, call: Call, options: dict[str, Any]) -> Answer:
        with call.attempt():
            before = self._clock.correction
            answer = await self._receive(call, options)
            if answer.refuses_clock and call.correction is None:
                call.correction = await self._correct_clock(before)
                if call.correction.problem is None:
                    answer = await self._receive(call, options)
            return call.success(answer)

    async def _receive(self, call: Call, options: dict[str, Any]) -> Answer:
        while True:
            await self._pause()
            async with self._slots:
                # A limit may have been broken while this waited for its turn.
                if next(self.limits.pauses(), None) is None:
                    _refuse_if_closed(self.is_closed)
                    call.sends()
                    answer = await super().send(call.request, **options)
                    return call.received(cast(Answer, answer))

    async def _pause(self) -> None:
        for seconds in self.limits.pauses():
            await _time.async_sleep(seconds)

    async def _correct_clock(self, before: Correction) -> Correction:
        import anyio  # only here: a call whose clock is right does not need it

        self._correcting = self._correcting or anyio.Lock()
        async with self._correcting:
            if self._clock.correction is before:
                await self._pause()
                request = self.build_request("GET", TIME_PATH)
                with correcting(self._clock, self.limits) as note:
                    note(cast(Answer, await super().send(request, auth=None)))
            return self._clock.correction


def _settings(config: Config) -> dict[str, Any]:
    return {
        "timeout": config.timeout,
        # The others, which httpx would offer where it can decode them, inflate beyond all bounds.
        "headers": {"Accept-Encoding": ", ".join(ENCODINGS)},
        # The key must not travel to another host, nor through a proxy that nobody named here.
        "follow_redirects": False,
        "trust_env": False,
    }


def _urls(config: Config) -> Callable[[str], httpx.URL]:
    # To put a URL together each time takes httpx long.
    return cache(lambda path: httpx.URL(config.base_url.rstrip("/") + path))


def _limits(config: Config) -> Limits:
    return Limits(config.max_retry_wait if config.max_attempts > 1 else 0.0)


def _refuse_if_closed(is_closed: bool) -> None:
    if is_closed:
        raise ConfigurationError("The client", "is closed; make a new one")
