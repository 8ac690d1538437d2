# Generated from openapi.yaml by `make generate`. Do not edit.
from datetime import datetime
from typing import Any, Self

from attrs import frozen as _frozen

from ..values import (
    Mismatch,
    milliseconds,
    unix_milliseconds,
    wrong,
)

_read_server_time = unix_milliseconds(1483228800000, 4102444800000)
_KNOWN = {"serverTime"}


@_frozen
class ServerTime:
    """Binance's time.

    Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints

    Attributes:
        server_time: The time at which Binance answered.
    """

    server_time: datetime

    @classmethod
    def from_dict(cls, payload: Any, unknown: set[str]) -> Self:
        """Reads a payload; adds the names of unknown fields to a set. Raises Mismatch."""
        if type(payload) is not dict:
            raise wrong("an object", payload)
        at = ""
        try:
            record = cls(
                server_time=_read_server_time(payload[at := "serverTime"], unknown),
            )
        except KeyError:
            raise Mismatch("missing", f".{at}") from None
        except Mismatch as mismatch:
            raise mismatch.within(f".{at}") from None
        if not payload.keys() <= _KNOWN:
            unknown |= payload.keys() - _KNOWN
        return record

    def to_dict(self) -> dict[str, Any]:
        """The payload. It lacks the fields that are None and not required."""
        payload: dict[str, Any] = {
            "serverTime": milliseconds(self.server_time),
        }
        return payload
