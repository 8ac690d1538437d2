"""What the contract says about an operation, in the words of Binance's pages.

`tools.page` reads the same statements from a page.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tools.contract import answer_of, definition_of, resolved

# What a statement is about: ("parameter", "size", "maximum"), ("response", "rows", "[]", "asset").
Key = tuple[str, ...]
# What it allows there, such as {"number", "decimal string"} or {"string", "absent"}.
Values = frozenset[str]
Statements = dict[Key, Values]
Pairs = Iterator[tuple[Key, str]]

BOUNDS = ("default", "minimum", "maximum")


def collected(pairs: Iterable[tuple[Key, str]]) -> Statements:
    """Statements with all values of each key."""
    found = defaultdict(set)
    for key, value in pairs:
        found[key].add(value)
    return {key: Values(values) for key, values in found.items()}


def plain(value: object) -> str:
    """A number or a word in one spelling."""
    return str(value).replace(",", "").upper()


def statements(contract: Any, method: str, path: str) -> Statements:
    """All statements about an operation, the most important first."""
    return collected(_operation(contract, method, path))


def page_differences(contract: Any, method: str, path: str) -> dict[str, list[str]]:
    """What a page may say instead, by the name of the place."""
    decided = definition_of(contract, method, path).get("x-page-differences", [])
    return {each["where"]: each["page"] for each in decided}


def _operation(contract: Any, method: str, path: str) -> Pairs:
    operation = definition_of(contract, method, path)
    yield ("method",), method
    yield ("path",), path
    yield ("security type",), operation["x-security-type"]
    yield ("parameter",), "table"
    for each in operation["parameters"]:
        yield from _parameter(contract, each)
    for scheme in contract["components"]["securitySchemes"].values():
        if scheme["in"] == "query":  # a page may list it
            signed = {"name": scheme["name"], "schema": {"type": "string"}, "required": True}
            yield from _parameter(contract, signed)
            yield ("parameter", scheme["name"]), "absent"
    answer = answer_of(contract, method, path, "200")["content"]["application/json"]
    yield from _shape(contract, answer["schema"], ("response",))
    yield ("request weight",), plain(operation["x-request-weight"])
    yield ("limiter",), operation["x-request-weight-by"]
    for name, value in operation.get("x-rules", {}).items():
        yield (f"rule {name}",), plain(value)
    for each in operation["parameters"]:
        if "maxItems" in each["schema"]:
            yield ("rule most-coins",), plain(each["schema"]["maxItems"])


def _parameter(contract: Any, given: Any) -> Pairs:
    key, schema = ("parameter", given["name"]), resolved(contract, given["schema"])
    yield key, "listed"
    yield (*key, "type"), _page_type(schema)
    yield (*key, "mandatory"), "YES" if given.get("required") else "NO"
    yield from (((*key, what), plain(schema[what])) for what in BOUNDS if what in schema)
    yield from (((*key, "enum"), word) for word in schema.get("enum", ()))


def _page_type(schema: Any) -> str:
    """What a page calls the type of a parameter."""
    if "enum" in schema:
        return "ENUM"
    kind = _kind(schema, str(schema.get("type")))
    if kind == "array":  # joined by commas
        return "STRING"
    names = {"integer": "INT" if schema.get("format") == "int32" else "LONG", "number": "DECIMAL"}
    return names.get(kind, kind.removesuffix(" string")).upper()


def _kind(schema: Any, kind: str) -> str:
    """A type in a schema, or "decimal string"."""
    pattern = schema.get("pattern", "")
    decimal = re.search(pattern, "0.1") and not re.search(pattern, "ETH")
    return "decimal string" if kind == "string" and decimal else kind


def _shape(contract: Any, schema: Any, key: Key) -> Pairs:
    """The kinds of the values at `key` in an answer, and of the values inside them."""
    schema = resolved(contract, schema)
    for word in ("oneOf", "anyOf", "allOf"):
        for part in schema.get(word, ()):
            yield from _shape(contract, part, key)
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        yield key, _kind(schema, kind)
    for name, inside in schema.get("properties", {}).items():
        yield from _shape(contract, inside, (*key, name))
        if name not in schema.get("required", ()):
            yield (*key, name), "absent"
    if "items" in schema:
        yield from _shape(contract, schema["items"], (*key, "[]"))
    if not schema:
        yield key, "anything"
        yield (*key, "[]"), "anything"
