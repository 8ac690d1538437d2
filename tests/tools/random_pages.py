"""Pages of an endpoint that does not exist, and changes of them, by chance."""

import json
from copy import deepcopy
from random import Random
from typing import Any

METHOD, PATH = "GET", "/sapi/v1/margin/newer"
NAMES = ["asset", "amount", "id", "txId", "createTime", "symbol", "rows", "status"]
NAMES += ["isOpen", "fromId", "price", "orderIds", "note"]
TYPES = ("STRING", "LONG", "INT", "DECIMAL", "BOOLEAN", "ARRAY", "ENUM")
SAID = (
    *("", "Default:10 Max:100", "Max 500", "Start from 1. Default:1", "default FALSE"),
    *("A_B or C_D; default A_B", "Default:5, Max:100, min: 2", "max 7, max 9"),
)
TYPES_OF_SECURITY = ("USER_DATA", "TRADE", "MARKET_DATA", "NONE", "MARGIN")
WEIGHTS = ("1", "10(IP)", "3000(UID)", "**1 (IP)** **5 (IP)**", "")
VALUES = ("1.5", "0.00", "ETH", "", 3, -1, 1.5, True, False, None, "12345", "a: b", "币安", "A,B")
TIMES = (1672801339253, 1672801339, "2023-01-01 00:00:00")


def page(by: Random) -> dict[str, Any]:
    """The parts of a page."""
    return {
        "security": by.choice(TYPES_OF_SECURITY),
        "weight": by.choice(WEIGHTS),
        "parameters": [(name, *_facts(by)) for name in by.sample(NAMES, by.randint(0, 4))],
        "signed": by.random() < 0.8,
        "example": by.choice([None, {}, _object(by, 2), [_object(by, 2)], _object(by, 1)]),
    }


def another(old: dict[str, Any], by: Random) -> dict[str, Any]:
    """The page after some changes."""
    new, other = deepcopy(old), page(by)
    for part in by.sample(list(new), by.randint(0, 2)):
        new[part] = other[part]
    fields = new["example"][0] if isinstance(new["example"], list) else new["example"] or {}
    for name in list(fields)[: by.randint(0, 2)]:
        change = by.choice(["retype", "rename", "remove", "add"])
        value = fields[name] if change == "add" else fields.pop(name)
        new_name = {"retype": name, "remove": "tier"}.get(change, f"{name}New")
        fields[new_name] = value if change == "rename" else _value(by, 2, name)
    return new


def markdown(parts: dict[str, Any]) -> str:
    """A page as text."""
    rows = [f"| {' | '.join(each)} |" for each in parts["parameters"]]
    if parts["signed"]:
        rows += ["| recvWindow | LONG | NO |  |", "| timestamp | LONG | YES |  |"]
    head = ["| Name | Type | Mandatory | Description |", "|---|---|---|---|"]
    example = json.dumps(parts["example"], indent=1, ensure_ascii=False)
    return "\n\n".join(
        (
            f"# Get Newer Things ({parts['security']})",
            f"## HTTP Request\n\n{METHOD} `{PATH}`",
            f"## Request Weight\n\n{parts['weight']}",
            "## Request Parameters\n\n" + ("\n".join([*head, *rows]) if rows else "None"),
            "" if parts["example"] is None else f"## Response Example\n\n```\n{example}\n```",
        )
    )


def _facts(by: Random) -> tuple[str, str, str]:
    return by.choice(TYPES), by.choice(("YES", "NO", "CONDITIONAL")), by.choice(SAID)


def _object(by: Random, depth: int) -> dict[str, Any]:
    return {name: _value(by, depth, name) for name in by.sample(NAMES, by.randint(1, 4))}


def _value(by: Random, depth: int, name: str) -> Any:
    kind = by.random()
    if depth == 0 or kind < 0.6:
        return by.choice(TIMES if name.endswith("Time") else VALUES)
    if kind < 0.75:
        return _object(by, depth - 1)
    if kind < 0.85:
        return [by.choice(VALUES)] * by.randint(0, 2)
    whole = _object(by, depth - 1)
    return [whole, {each: whole[each] for each in whole if by.random() < 0.8}]
