"""JSON whose numbers keep all their digits."""

import json
from decimal import Decimal
from typing import Any


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
