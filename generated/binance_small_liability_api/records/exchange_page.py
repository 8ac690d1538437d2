# Generated from openapi.yaml by `make generate`. Do not edit.
from typing import Any, Self

from attrs import frozen as _frozen

from ..values import Mismatch, array, integer, wrong
from .exchange import Exchange

_read_total = integer(0, 9007199254740991)
_read_rows = array(Exchange.from_dict)
_KNOWN = {"total", "rows"}


@_frozen
class ExchangePage:
    """One page of past exchanges.

    Source: https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-History

    Attributes:
        total: The number of exchanges on all pages together.
        rows: The exchanges of this page.
    """

    total: int
    rows: list[Exchange]

    @classmethod
    def from_dict(cls, payload: Any, unknown: set[str]) -> Self:
        """Reads a payload; adds the names of unknown fields to a set. Raises Mismatch."""
        if type(payload) is not dict:
            raise wrong("an object", payload)
        at = ""
        try:
            record = cls(
                total=_read_total(payload[at := "total"], unknown),
                rows=_read_rows(payload[at := "rows"], unknown),
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
            "total": self.total,
            "rows": [item.to_dict() for item in self.rows],
        }
        return payload
