# Generated from openapi.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="SmallLiabilityCoin")


@_attrs_define
class SmallLiabilityCoin:
    """One coin whose debt can be exchanged, and the debt.

    Attributes:
        asset (str): Name of the coin. It may have any length and may contain characters outside ASCII.
        interest (str): An exact decimal, written as a string.
        principal (str): An exact decimal, written as a string.
        liability_asset (str): Name of the coin in which the whole debt is valued.
        liability_qty (float | str): The whole debt, in `liabilityAsset`. It is documented as a number. Users have
            reported
            that the live service sends a string.
    """

    asset: str
    interest: str
    principal: str
    liability_asset: str
    liability_qty: float | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        asset = self.asset

        interest = self.interest

        principal = self.principal

        liability_asset = self.liability_asset

        liability_qty: float | str
        liability_qty = self.liability_qty

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "asset": asset,
                "interest": interest,
                "principal": principal,
                "liabilityAsset": liability_asset,
                "liabilityQty": liability_qty,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        asset = d.pop("asset")

        interest = d.pop("interest")

        principal = d.pop("principal")

        liability_asset = d.pop("liabilityAsset")

        def _parse_liability_qty(data: object) -> float | str:
            return cast(float | str, data)

        liability_qty = _parse_liability_qty(d.pop("liabilityQty"))

        small_liability_coin = cls(
            asset=asset,
            interest=interest,
            principal=principal,
            liability_asset=liability_asset,
            liability_qty=liability_qty,
        )

        small_liability_coin.additional_properties = d
        return small_liability_coin

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
