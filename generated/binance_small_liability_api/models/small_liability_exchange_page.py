# Generated from openapi.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.small_liability_exchange import SmallLiabilityExchange


T = TypeVar("T", bound="SmallLiabilityExchangePage")


@_attrs_define
class SmallLiabilityExchangePage:
    """One page of past exchanges.

    Attributes:
        total (int): The number of exchanges on all pages together.
        rows (list[SmallLiabilityExchange]): The exchanges of this page.
    """

    total: int
    rows: list[SmallLiabilityExchange]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        total = self.total

        rows = []
        for rows_item_data in self.rows:
            rows_item = rows_item_data.to_dict()
            rows.append(rows_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "total": total,
                "rows": rows,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.small_liability_exchange import SmallLiabilityExchange  # noqa: PLC0415

        d = dict(src_dict)
        total = d.pop("total")

        rows = []
        _rows = d.pop("rows")
        for rows_item_data in _rows:
            rows_item = SmallLiabilityExchange.from_dict(rows_item_data)

            rows.append(rows_item)

        small_liability_exchange_page = cls(
            total=total,
            rows=rows,
        )

        small_liability_exchange_page.additional_properties = d
        return small_liability_exchange_page

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
