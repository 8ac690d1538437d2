"""How a request is signed."""

import re
from collections.abc import Generator

import httpx

from ._clock import Clock
from ._keys import Key
from ._redaction import SEAL, Hidden, Seal

_SOON = 100  # milliseconds; farther behind, the clock was corrected
# Replaced by plain digits: of a template with a group, re would keep one for each timestamp.
_TIMESTAMP = re.compile(rb"(?<=[?&]timestamp=)[0-9]+")


class BinanceAuth(httpx.Auth):
    """Stamps and signs a request at the moment of sending.

    The payload is the query string exactly as it is sent. Source: "Endpoint security" on
    https://developers.binance.com/docs/margin_trading/general-info
    """

    def __init__(self, api_key: Hidden, key: Key, clock: Clock) -> None:
        self._api_key = api_key
        self._key = key
        self.clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """One signed request."""
        yield self._signed(request)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        now = self.clock.now()
        before: Seal | None = request.extensions.get(SEAL)
        if before is not None and 0 <= before.timestamp - now < _SOON:
            # A retry within the same millisecond must not look like a replay.
            now = before.timestamp + 1
        target = _TIMESTAMP.sub(b"%d" % now, request.url.raw_path, count=1)
        signature = self._key.sign(target.partition(b"?")[2])
        request.extensions[SEAL] = Seal(self._api_key, now, target, signature)
        return request
