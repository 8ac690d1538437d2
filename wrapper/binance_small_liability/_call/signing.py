"""How a request is signed.

The payload is the query string exactly as it is sent. Source: "Endpoint security" on
https://developers.binance.com/docs/margin_trading/general-info
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from binance_small_liability_api.operation import Operation

from binance_small_liability._io.messages import Signature
from binance_small_liability._secrets import Hidden

from .keys import Key


class Signer:
    """Signs with one API key."""

    def __init__(self, api_key: Hidden, key: Key) -> None:
        self.api_key = api_key
        self._key = key

    def sign(self, query: bytes, operation: Operation[..., Any]) -> Signature:
        """What a request of `operation` with this query, which `encode` returned, needs."""
        value = self._key.sign(query) if operation.signed else None
        target = operation.path.encode("ascii") + (b"?" + query if query else b"")
        return Signature(self.api_key.reveal(), target, value)


def encode(parameters: Mapping[str, str]) -> bytes:
    """Percent-encodes parameters, in their order. A comma becomes %2C and a space %20."""
    return urlencode(parameters, quote_via=quote).encode("ascii")
