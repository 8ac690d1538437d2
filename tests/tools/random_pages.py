"""Pages that say what the contract says, pages of another endpoint, and changes of both."""

import json
from copy import deepcopy
from random import Random
from typing import Any

from tools.contract import answer_of, definition_of
from tools.statements import statements

NAMES = ["asset", "amount", "id", "txId", "createTime", "symbol", "rows", "status"]
NAMES += ["isOpen", "fromId", "price", "orderIds", "note"]
ROW = ("name", "type", "mandatory", "description")
TYPES = ("STRING", "LONG", "INT", "DECIMAL", "BOOLEAN", "ARRAY", "ENUM")
MANDATORY = ("YES", "NO", "CONDITIONAL")
SAID = (
    *("", "Default:10 Max:100", "Max 500", "Start from 1. Default:1", "default FALSE"),
    *("A_B or C_D; default A_B", "Default:5, Max:100, min: 2", "max 7, max 9"),
)
SECURITY = ("USER_DATA", "TRADE", "MARKET_DATA", "NONE", "MARGIN")
WEIGHTS = ("1", "10(IP)", "3000(UID)", "**1 (IP)** **5 (IP)**", "")
VALUES = ("1.5", "0.00", "ETH", "", 3, -1, 1.5, True, False, None, "12345", "a: b", "币安", "A,B")
TIMES = (1672801339253, 1672801339, "2023-01-01 00:00:00")
RULES = {
    "rule most-coins": "At most {} coins in one call",
    "rule once-in-hours": "Only once in {} hours",
}
Parts = dict[str, Any]


def said_by(contract: Any, method: str, path: str) -> Parts:
    """The parts of a page that says what the contract says about an operation."""
    said, rows = statements(contract, method, path), []
    for key in said:
        if len(key) == 2 and key[0] == "parameter" and "absent" not in said[key]:
            facts = {each[2]: " or ".join(said[each]) for each in said if each[:-1] == key}
            kind, mandatory = facts.pop("type"), facts.pop("mandatory")
            rows.append([key[1], kind, mandatory, ", ".join(map(" ".join, facts.items()))])
    definition = definition_of(contract, method, path)
    answer = answer_of(contract, method, path, "200")["content"]["application/json"]
    weight, limiter = definition["x-request-weight"], definition["x-request-weight-by"]
    rules = {key[0]: next(iter(said[key])) for key in said if key[0] in RULES}
    return {
        "title": definition["summary"],
        "endpoint": f"{method} `{path}`",
        "rules": [RULES[rule].format(number) for rule, number in rules.items()],
        "security": definition["x-security-type"],
        "weight": f"{weight}({limiter})",
        "parameters": rows,
        "example": next(iter(answer["examples"].values()))["value"],
    }


def newer(by: Random) -> Parts:
    """The parts of a page of an endpoint that the contract lacks."""
    signed = [["recvWindow", "LONG", "NO", ""], ["timestamp", "LONG", "YES", ""]]
    return {
        "title": "Get Newer Things",
        "endpoint": "GET `/sapi/v1/margin/newer`",
        "rules": [],
        "security": by.choice(SECURITY),
        "weight": by.choice(WEIGHTS),
        "parameters": [
            *(_row(by, name) for name in by.sample(NAMES, by.randint(0, 4))),
            *(signed if by.random() < 0.8 else []),
        ],
        "example": by.choice([None, _object(by, 2), [_object(by, 2)], _object(by, 1)]),
    }


def changed(old: Parts, by: Random) -> Parts:
    """The parts of the page after some changes."""
    new = deepcopy(old)
    for _ in range(by.randint(1, 3)):
        by.choice([_change_limits, _change_parameter, _change_field, _change_field])(new, by)
    return new


def _change_limits(parts: Parts, by: Random) -> None:
    part, values = by.choice([("security", SECURITY), ("weight", WEIGHTS)])
    parts[part] = by.choice(values)


def _change_parameter(parts: Parts, by: Random) -> None:
    rows = parts["parameters"]
    unused = [name for name in NAMES if name not in [row[0] for row in rows]]
    place = by.randint(0, len(rows))
    if place == len(rows) or by.random() < 0.2:
        rows.insert(place, _row(by, by.choice(unused)))
        return
    change = by.choice([*ROW, "remove"])
    if change == "remove":
        del rows[place]
    elif change == "name":
        rows[place][0] += "New"
    else:
        column = ROW.index(change)
        rows[place][column] = _row(by, "")[column]


def _change_field(parts: Parts, by: Random) -> None:
    """Change a field of one object in the example, or of all objects in a list."""
    objects = list(_objects(parts["example"]))
    if not objects:
        parts["example"] = _object(by, 2)
        return
    alike = by.choice(objects)
    name = by.choice([*alike[0], *NAMES[:2]])
    change = by.choice(["retype", "rename", "remove", "add", "null"])
    value = _value(by, 2, name)
    for each in alike[: by.choice([1, len(alike)])]:
        old = each.pop(name, None)
        new_name = f"{name}New" if change == "rename" else name
        if change != "remove":
            each[new_name] = {"rename": old, "null": None}.get(change, value)


def _objects(value: Any) -> Any:
    """All objects in an example that have fields, by list."""
    inside = value if isinstance(value, list) else [value]
    alike = [each for each in inside if isinstance(each, dict) and each]
    if alike:
        yield alike
    for each in inside:
        for part in each.values() if isinstance(each, dict) else ():
            yield from _objects(part)


def markdown(parts: Parts) -> str:
    """A page as text."""
    rows = [f"| {' | '.join(each)} |" for each in parts["parameters"]]
    head = ["| Name | Type | Mandatory | Description |", "|---|---|---|---|"]
    example = json.dumps(parts["example"], indent=1, ensure_ascii=False, default=float)
    return "\n\n".join(
        (
            f"# {parts['title']} ({parts['security']})",
            "## API Description",
            *parts["rules"],
            f"## HTTP Request\n\n{parts['endpoint']}",
            f"## Request Weight\n\n{parts['weight']}",
            "## Request Parameters\n\n" + ("\n".join([*head, *rows]) if rows else "None"),
            "" if parts["example"] is None else f"## Response Example\n\n```\n{example}\n```",
        )
    )


def _row(by: Random, name: str) -> list[str]:
    return [name, by.choice(TYPES), by.choice(MANDATORY), by.choice(SAID)]


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
