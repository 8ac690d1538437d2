"""How a request is signed.

The payload is the query string exactly as it is sent. Source: "Endpoint security" on
https://developers.binance.com/docs/margin_trading/general-info
"""

from typing import Any
from urllib.parse import quote, urlencode

from binance_small_liability._io.messages import Signature
from binance_small_liability._secrets import Hidden

from .keys import Key


class Signer:
    """Signs with one API key."""

    def __init__(self, api_key: Hidden, key: Key) -> None:
        self.api_key = api_key
        self._key = key

    def sign(self, query: bytes) -> Signature:
        """The signature of a query that `encode` returned."""
        return Signature(self.api_key.reveal(), query, self._key.sign(query))


def encode(parameters: dict[str, Any]) -> bytes:
    """Percent-encodes parameters, in their order. A comma becomes %2C and a space %20."""
    return urlencode(parameters, quote_via=quote).encode("ascii")
