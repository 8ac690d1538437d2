"""The contract's statements about each operation, in the words of a documentation page."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

# The subject of a statement: ("parameter", "size", "maximum"), ("response", "rows", "[]", "asset").
Key = tuple[str, ...]
# Its alternatives, such as {"number", "decimal string"} or {"string", "absent"}.
Said = frozenset[str]
Statements = dict[Key, Said]
# What a page may say instead, by the name of the thing.
Decisions = dict[str, list[str]]
Pairs = Iterator[tuple[Key, str]]

BOUNDS = ("default", "minimum", "maximum")


def collected(pairs: Iterable[tuple[Key, str]]) -> Statements:
    """The statements, with all alternatives of each key."""
    found = defaultdict(set)
    for key, said in pairs:
        found[key].add(said)
    return {key: Said(said) for key, said in found.items()}


def plain(value: object) -> str:
    """A number or a word in one spelling."""
    return str(value).replace(",", "").upper()


def operations(contract: Any) -> Iterator[tuple[Statements, Decisions]]:
    """The statements about each operation, and what a page may say instead."""
    for path, item in contract["paths"].items():
        for method, operation in item.items():
            decided = operation.get("x-page-differences", [])
            stated = collected(_operation(contract, method, path))
            yield stated, {each["where"]: each["page"] for each in decided}


def _operation(contract: Any, method: str, path: str) -> Pairs:
    """All statements about an operation, the most important first."""
    operation = contract["paths"][path][method]
    yield ("method",), method.upper()
    yield ("path",), path
    yield ("security type",), operation["x-security-type"]
    yield ("parameter",), "table"
    for each in operation.get("parameters", []):
        given = _resolved(contract, each)
        key, schema = ("parameter", given["name"]), _resolved(contract, given["schema"])
        yield key, "listed"
        yield (*key, "type"), _page_type(schema)
        yield (*key, "mandatory"), "YES" if given.get("required") else "NO"
        yield from (((*key, what), plain(schema[what])) for what in BOUNDS if what in schema)
    for scheme in contract["components"]["securitySchemes"].values():
        if scheme["in"] == "query":  # a page may list it
            key = ("parameter", scheme["name"])
            yield from ((key, said) for said in ("listed", "absent"))
            yield (*key, "type"), "STRING"
            yield (*key, "mandatory"), "YES"
    answer = _resolved(contract, operation["responses"]["200"])["content"]["application/json"]
    yield from _shape(contract, answer["schema"], ("response",))
    yield ("request weight",), plain(operation["x-request-weight"])
    yield ("limiter",), operation["x-request-weight-by"]
    for name, value in operation.get("x-rules", {}).items():
        yield ("rule", name), plain(value)


def _resolved(contract: Any, node: Any) -> Any:
    """A part of the contract, or what it refers to."""
    while "$ref" in node:
        path, node = node["$ref"].split("/")[1:], contract
        for name in path:
            node = node[name]
    return node


def _page_type(schema: Any) -> str:
    """What a page would call the type of a parameter."""
    if "enum" in schema:
        return "ENUM"
    kind = _kind(schema, str(schema.get("type")))
    names = {"integer": "LONG" if schema.get("format") == "int64" else "INT", "number": "DECIMAL"}
    return names.get(kind, kind.removesuffix(" string")).upper()


def _kind(schema: Any, kind: str) -> str:
    """A type in a schema, or "decimal string"."""
    pattern = schema.get("pattern", "")
    decimal = re.search(pattern, "0.1") and not re.search(pattern, "ETH")
    return "decimal string" if kind == "string" and decimal else kind


def _shape(contract: Any, schema: Any, key: Key) -> Pairs:
    """The kinds of the values at `key` in an answer, and of the values inside them."""
    schema = _resolved(contract, schema)
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
