"""`Coin`: what the caller gets, exact to the last digit."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, get_args

import attrs
from binance_small_liability_api.models.small_liability_coin import SmallLiabilityCoin
from binance_small_liability_api.types import Unset


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

    # A field that the contract gains is one line here, named as in the generated model: `str` or
    # `Decimal`, and `... | None = None` where the contract does not require it.
    asset: str
    principal: Decimal
    interest: Decimal
    liability_asset: str
    liability_qty: Decimal


log = logging.getLogger(__package__)

# The fields unknown to the contract that this process has warned of: few, whatever may come.
_reported: set[str] = set()
_MOST_REPORTS = 100

# Decimals, each ended by a line break.
_DECIMALS = re.compile(r"(?:-?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]{1,9}+)?+\n)*+")


# Both judge one field of all coins at once: of long lists that takes a fifth of the time.
def _are_texts(values: Sequence[object]) -> bool:
    return set(map(type, values)) <= {str} and all(values)


def _are_decimals(values: Sequence[Any]) -> bool:
    kinds = set(map(type, values))
    if kinds == {str}:
        lines = "\n".join(values) + "\n"
        return lines.count("\n") == len(values) and bool(_DECIMALS.fullmatch(lines))
    # Not so a bool, whose type is another.
    return kinds <= {int, Decimal} or (
        len(kinds) > 1 and all(_are_decimals([value]) for value in values)
    )


class _Field(NamedTuple):
    """How one attribute of `Coin` stands on the wire."""

    wire_name: str
    from_model: Callable[[SmallLiabilityCoin], Any]
    from_payload: Callable[[Any], Any]
    make: Callable[[Any], Any]
    fit: Callable[[Sequence[object]], bool]
    expected: str
    required: bool

    @classmethod
    def of(cls, attribute: "attrs.Attribute[Any]") -> "_Field":
        first, *rest = attribute.name.split("_")
        wire_name = first + "".join(word.capitalize() for word in rest)
        required = attribute.default is attrs.NOTHING
        kind: Any = attribute.type if required else get_args(attribute.type)[0]
        fit, expected = _KINDS[kind]
        make = kind if required else _optional(kind)
        return cls(
            wire_name,
            attrgetter(attribute.name),
            itemgetter(wire_name),
            make,
            fit,
            expected,
            required,
        )


def _optional(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None or isinstance(value, Unset) else make(value)


_KINDS: dict[Any, tuple[Callable[[Sequence[object]], bool], str]] = {
    str: (_are_texts, "a string that is not empty"),
    Decimal: (_are_decimals, "a decimal"),
}
_FIELDS = [_Field.of(attribute) for attribute in attrs.fields(Coin)]
_KNOWN = {field.wire_name for field in _FIELDS}


def coins_from_wire(wire_coins: Sequence[SmallLiabilityCoin]) -> list[Coin]:
    """The coins that the generated parser read from an answer in which `find_fault` found none."""
    # Field by field instead of coin by coin: of long lists that takes two thirds of it.
    return list(
        map(Coin, *(map(field.make, map(field.from_model, wire_coins)) for field in _FIELDS))
    )


def unknown_fields(payload: Iterable[Iterable[str]]) -> set[str]:
    """The names in a list of coins that the contract does not know."""
    return set().union(*payload) - _KNOWN


def report_unknown(names: Iterable[str]) -> None:
    """Logs a warning for each of `names`, once in this process."""
    for name in names:
        if name not in _reported and len(_reported) < _MOST_REPORTS:
            _reported.add(name)
            log.warning("The API has changed: coins have a new field %.80r; regenerate", name)


def find_fault(payload: object) -> str | None:
    """Where `payload` is not the list of coins that the contract promises, or None where it is.

    Amounts may be numbers or strings, wherever they stand: the API is known to mix them.
    """
    if _fits(payload):
        return None
    if not isinstance(payload, list):
        return f"$: expected an array, got {_kind(payload)}"
    for index, item in enumerate(payload):
        if not isinstance(item, dict):
            return f"$[{index}]: expected an object, got {_kind(item)}"
        for field in _FIELDS:
            if field.wire_name not in item:
                if field.required:
                    return f"$[{index}].{field.wire_name}: missing"
                continue
            value = item[field.wire_name]
            if not field.fit([value]) and (field.required or value is not None):
                where = f"$[{index}].{field.wire_name}"
                return f"{where}: expected {field.expected}, got {_kind(value)}"
    return None


def _fits(payload: object) -> bool:
    """Whether `payload` surely is that list. Says no where a field is left out."""
    if not isinstance(payload, list) or not set(map(type, payload)) <= {dict}:
        return False
    try:
        return all(field.fit(list(map(field.from_payload, payload))) for field in _FIELDS)
    except KeyError:
        return False


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
