"""How a request is signed."""

from collections.abc import Generator
from urllib.parse import quote, urlencode

import httpx

from ._clock import Clock
from ._keys import Key
from ._redaction import SEAL, Hidden, Seal

# The extension of a request that holds its parameters. They are not in its URL, because httpx takes
# long to put them there, and they are encoded only once they are stamped.
PARAMS = "binance_small_liability.params"

_SOON = 100  # milliseconds; farther behind, the clock was corrected


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
        params = {**request.extensions[PARAMS], "timestamp": now}
        query = urlencode(params, quote_via=quote).encode("ascii")
        signature = self._key.sign(query)
        target = b"%b?%b" % (request.url.raw_path, query)
        request.extensions[SEAL] = Seal(self._api_key, now, target, signature, before)
        return request
