"""JSON whose numbers keep all their digits."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import attrs
from binance_small_liability_api.models import SmallLiabilityCoin

from binance_small_liability._records import Coin, Reader


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


def coins_from_example(example: list[dict[str, Any]]) -> list[Coin]:
    """The coins of an example of the contract."""
    return Reader(list[Coin]).read(example)[0]


def coins_as_json(coins: Iterable[Coin], *, quote_quantity: bool) -> str:
    """An answer's body: amounts as strings, but `liabilityQty` as a number unless it is quoted."""
    return exact_json([_wire(coin, quote_quantity) for coin in coins])


def _wire(coin: Coin, quote_quantity: bool) -> dict[str, Any]:
    values = attrs.asdict(coin)
    # The contract's strings have no exponent.
    texts = {name: f"{v:f}" if isinstance(v, Decimal) else v for name, v in values.items()}
    if not quote_quantity:
        texts["liability_qty"] = coin.liability_qty
    return SmallLiabilityCoin(**texts).to_dict()
