# Generated from openapi.yaml by `make generate`. Do not edit.
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from attrs import frozen as _frozen

from ..values import (
    Mismatch,
    decimal,
    milliseconds,
    text,
    unix_milliseconds,
    wrong,
)

_read_asset = text(1)
_read_amount = decimal
_read_target_asset = text(1)
_read_target_amount = decimal
_read_biz_type = text(1)
_read_time = unix_milliseconds(1483228800000, 4102444800000)
_KNOWN = {"asset", "amount", "targetAsset", "targetAmount", "bizType", "timestamp"}


@_frozen
class Exchange:
    """One debt that was exchanged.

    Source: https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-History

    Attributes:
        asset: Name of the coin whose debt was exchanged.
        amount: The debt that was exchanged, in `asset`.
        target_asset: Name of the coin that is owed instead.
        target_amount: The new debt, in `target_asset`.
        biz_type: The kind of exchange. New kinds may appear.
        time: When it happened.
    """

    asset: str
    amount: Decimal
    target_asset: str
    target_amount: Decimal
    biz_type: str
    time: datetime

    @classmethod
    def from_dict(cls, payload: Any, unknown: set[str]) -> Self:
        """Reads a payload; adds the names of unknown fields to a set. Raises Mismatch."""
        if type(payload) is not dict:
            raise wrong("an object", payload)
        at = ""
        try:
            record = cls(
                asset=_read_asset(payload[at := "asset"], unknown),
                amount=_read_amount(payload[at := "amount"], unknown),
                target_asset=_read_target_asset(payload[at := "targetAsset"], unknown),
                target_amount=_read_target_amount(payload[at := "targetAmount"], unknown),
                biz_type=_read_biz_type(payload[at := "bizType"], unknown),
                time=_read_time(payload[at := "timestamp"], unknown),
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
            "amount": format(self.amount, "f"),
            "targetAsset": self.target_asset,
            "targetAmount": format(self.target_amount, "f"),
            "bizType": self.biz_type,
            "timestamp": milliseconds(self.time),
        }
        return payload
