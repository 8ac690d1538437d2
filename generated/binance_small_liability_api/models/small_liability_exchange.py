# Generated from openapi.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="SmallLiabilityExchange")


@_attrs_define
class SmallLiabilityExchange:
    """One debt that was exchanged.

    Attributes:
        asset (str): Name of the coin whose debt was exchanged.
        amount (str): An exact decimal, written as a string.
        target_asset (str): Name of the coin that is owed instead.
        target_amount (str): An exact decimal, written as a string.
        biz_type (str): The kind of exchange. New kinds may appear.
        timestamp (int): When it happened. Unix time in milliseconds, between 2017, when Binance began, and 2100.
    """

    asset: str
    amount: str
    target_asset: str
    target_amount: str
    biz_type: str
    timestamp: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        asset = self.asset

        amount = self.amount

        target_asset = self.target_asset

        target_amount = self.target_amount

        biz_type = self.biz_type

        timestamp = self.timestamp

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "asset": asset,
                "amount": amount,
                "targetAsset": target_asset,
                "targetAmount": target_amount,
                "bizType": biz_type,
                "timestamp": timestamp,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        asset = d.pop("asset")

        amount = d.pop("amount")

        target_asset = d.pop("targetAsset")

        target_amount = d.pop("targetAmount")

        biz_type = d.pop("bizType")

        timestamp = d.pop("timestamp")

        small_liability_exchange = cls(
            asset=asset,
            amount=amount,
            target_asset=target_asset,
            target_amount=target_amount,
            biz_type=biz_type,
            timestamp=timestamp,
        )

        small_liability_exchange.additional_properties = d
        return small_liability_exchange

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
