# Generated from openapi.yaml by `make generate`. Do not edit.
from decimal import Decimal
from typing import Any, Self

from attrs import frozen as _frozen

from ..values import Mismatch, decimal, text, wrong

_read_asset = text(1)
_read_principal = decimal
_read_interest = decimal
_read_liability_asset = text(1)
_read_liability_qty = decimal
_KNOWN = {"asset", "principal", "interest", "liabilityAsset", "liabilityQty"}


@_frozen
class Coin:
    """One coin whose debt can be exchanged, and the debt.

    Source: https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-Coin-List

    Attributes:
        asset: Name of the coin. It may have any length and may contain characters outside
            ASCII.
        principal: Principal owed, in `asset`.
        interest: Interest owed, in `asset`.
        liability_asset: Name of the coin in which the whole debt is valued.
        liability_qty: The whole debt, in `liability_asset`. It is documented as a number. Users
            have reported that the live service sends a string.
    """

    asset: str
    principal: Decimal
    interest: Decimal
    liability_asset: str
    liability_qty: Decimal

    @classmethod
    def from_dict(cls, payload: Any, unknown: set[str]) -> Self:
        """Reads a payload; adds the names of unknown fields to a set. Raises Mismatch."""
        if type(payload) is not dict:
            raise wrong("an object", payload)
        at = ""
        try:
            record = cls(
                asset=_read_asset(payload[at := "asset"], unknown),
                principal=_read_principal(payload[at := "principal"], unknown),
                interest=_read_interest(payload[at := "interest"], unknown),
                liability_asset=_read_liability_asset(payload[at := "liabilityAsset"], unknown),
                liability_qty=_read_liability_qty(payload[at := "liabilityQty"], unknown),
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
            "asset": self.asset,
            "principal": format(self.principal, "f"),
            "interest": format(self.interest, "f"),
            "liabilityAsset": self.liability_asset,
            "liabilityQty": self.liability_qty,
        }
        return payload
