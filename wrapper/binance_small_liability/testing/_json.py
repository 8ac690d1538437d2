"""JSON whose numbers keep all their digits, and records as payloads."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from binance_small_liability._records import milliseconds, wire_name


def exact_json(value: Any) -> str:
    """`value` as JSON, in which a Decimal is a number."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            items = (f"{json.dumps(name)}:{exact_json(item)}" for name, item in value.items())
            return "{" + ",".join(items) + "}"
        case list():
            return "[" + ",".join(map(exact_json, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def payload(record: attrs.AttrsInstance) -> dict[str, Any]:
    """A record as Binance writes it: amounts as strings, times in milliseconds."""
    return {
        wire_name(field): _wire(getattr(record, field.name)) for field in attrs.fields(type(record))
    }


def _wire(value: Any) -> Any:
    match value:
        case Decimal():
            return f"{value:f}"  # the contract's strings have no exponent
        case datetime():
            return milliseconds(value)
        case _:
            return value
