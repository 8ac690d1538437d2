"""The records that callers receive, and how payloads become records.

A field is one line: its name in snake_case, and `str`, `Decimal`, `int`, `datetime` (milliseconds
in the payload), a record, or a list of these. A field that the contract does not require ends in
`| None = None`; one with another name in the payload has a `wire_name`. The rest of this module
knows no specific record.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin

import attrs

# The contract's bounds, in milliseconds: 2017, when Binance began, to 2100.
EARLIEST_TIME, LATEST_TIME = 1_483_228_800_000, 4_102_444_800_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class Coin:
    """One coin whose small debt can be exchanged.

    Source: https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-Coin-List

    Attributes:
        asset: name of the coin; not always ASCII.
        principal: principal owed, in `asset`.
        interest: interest owed, in `asset`.
        liability_asset: name of the coin in which the whole debt is valued.
        liability_qty: the whole debt, in `liability_asset`.
    """

    asset: str
    principal: Decimal
    interest: Decimal
    liability_asset: str
    liability_qty: Decimal


@attrs.frozen
class Exchange:
    """One debt that was exchanged.

    Source: https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-History

    Attributes:
        asset: name of the coin whose debt was exchanged; not always ASCII.
        amount: the debt that was exchanged, in `asset`.
        target_asset: name of the coin that is owed instead.
        target_amount: the new debt, in `target_asset`.
        biz_type: the kind of exchange, `EXCHANGE_SMALL_LIABILITY`; others may appear.
        time: when it happened, an aware datetime in UTC.
    """

    asset: str
    amount: Decimal
    target_asset: str
    target_amount: Decimal
    biz_type: str
    time: datetime = attrs.field(metadata={"wire_name": "timestamp"})


@attrs.frozen
class ExchangePage:
    """One page of exchanges; `total` counts those of all pages."""

    total: int
    rows: list[Exchange]


T = TypeVar("T")

# Reads a value, and adds the names of unknown fields to a set. Raises Mismatch.
_Read = Callable[[Any, set[str]], Any]

_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,9})?")


class Mismatch(ValueError):
    """A payload is not what the contract says."""

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"${where}: {problem}")
        self._problem = problem
        self._where = where

    def within(self, step: str) -> "Mismatch":
        """The same mismatch, with `step` in front of its place."""
        return Mismatch(self._problem, f"{step}{self._where}")


class Reader(Generic[T]):
    """Turns payloads into values of a type: a record, or a list of records."""

    def __init__(self, kind: Any) -> None:
        self._read = _reader(kind)

    def read(self, payload: object) -> tuple[T, set[str]]:
        """The value, and the names of fields that are not in the contract. Raises Mismatch."""
        unknown: set[str] = set()
        return self._read(payload, unknown), unknown


def _reader(kind: Any) -> _Read:
    if kind in _SCALARS:
        return _scalar(*_SCALARS[kind])
    if get_origin(kind) is list:
        return _list(_reader(get_args(kind)[0]))
    if get_origin(kind) is UnionType:
        [present] = [each for each in get_args(kind) if each is not NoneType]
        return _optional(_reader(present))
    return _record(kind)


def _scalar(expected: str, convert: Callable[[Any], Any]) -> _Read:
    """`convert` returns None for a value that is not `expected`."""

    def read(value: Any, _: set[str]) -> Any:
        result = convert(value)
        if result is None:
            raise Mismatch(f"expected {expected}, got {_kind(value)}")
        return result

    return read


def _list(read_item: _Read) -> _Read:
    def read(value: Any, unknown: set[str]) -> list[Any]:
        if type(value) is not list:
            raise Mismatch(f"expected an array, got {_kind(value)}")
        result: list[Any] = []
        try:
            for item in value:
                result.append(read_item(item, unknown))  # noqa: PERF401 - its length is the index
        except Mismatch as mismatch:
            raise mismatch.within(f"[{len(result)}]") from None
        return result

    return read


def _optional(read_present: _Read) -> _Read:
    return lambda value, unknown: None if value is None else read_present(value, unknown)


def _record(cls: type[attrs.AttrsInstance]) -> _Read:
    fields = [
        (wire_name(field), _reader(field.type), field.default is attrs.NOTHING)
        for field in attrs.fields(cls)
    ]
    known = {name for name, _, _ in fields}

    def read(value: Any, unknown: set[str]) -> Any:
        if type(value) is not dict:
            raise Mismatch(f"expected an object, got {_kind(value)}")
        values = []
        for name, read_field, required in fields:
            if name not in value and required:
                raise Mismatch("missing", f".{name}")
            try:
                values.append(read_field(value.get(name), unknown))
            except Mismatch as mismatch:
                raise mismatch.within(f".{name}") from None
        if not value.keys() <= known:
            unknown |= value.keys() - known
        return cls(*values)

    return read


def wire_name(field: "attrs.Attribute[Any]") -> str:
    """The name of a record's field in payloads."""
    first, *rest = field.name.split("_")
    camel_case = first + "".join(word.capitalize() for word in rest)
    return field.metadata.get("wire_name") or camel_case


def milliseconds(moment: datetime) -> int:
    """Unix time in milliseconds."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _text(value: Any) -> str | None:
    return value if type(value) is str and value else None


def _decimal(value: Any) -> Decimal | None:
    # Binance mixes numbers and strings. Both are exact here.
    if type(value) is str:
        return Decimal(value) if _DECIMAL.fullmatch(value) else None
    if type(value) is int:
        return Decimal(value)
    return value if type(value) is Decimal else None


def _whole_number(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _moment(value: Any) -> datetime | None:
    if type(value) is int and EARLIEST_TIME <= value <= LATEST_TIME:
        return EPOCH + timedelta(milliseconds=value)
    return None


_SCALARS: dict[Any, tuple[str, Callable[[Any], Any]]] = {
    str: ("a string that is not empty", _text),
    Decimal: ("a decimal", _decimal),
    int: ("a whole number", _whole_number),
    datetime: ("a time in milliseconds", _moment),
}


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return "a number"
