"""A contract in which one operation is being changed."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import jsonschema_rs

from tools.comparison import named
from tools.statements import Key

# The order of an operation's parts, where one is added.
ORDER = [
    *("operationId", "summary", "description", "externalDocs", "tags", "security"),
    *("x-security-type", "x-request-weight", "x-request-weight-by"),
    *("x-request-weight-per-minute", "x-rules", "x-unknown", "x-page-differences"),
    *("parameters", "responses"),
]


class RefusedError(Exception):
    """A page cannot be adopted; the message is the reason."""


class Draft:
    """The contract, and the operation that changes.

    Attributes:
        contract: the whole contract.
        method: the operation's method, in capitals.
        path: its path.
        operation: the operation's part of it.
        is_new: whether the contract did not have the operation before.
    """

    def __init__(self, contract: Any, method: str, path: str, *, is_new: bool) -> None:
        self.contract = contract
        self.method, self.path = method, path
        self.operation = contract["paths"][path][method.lower()]
        self.is_new = is_new

    def put(self, name: str, value: Any) -> None:
        """Set a part of the operation, in its usual place."""
        if name not in self.operation:
            place = ORDER.index(name)
            parts = list(self.operation.items())
            before = [each for each in parts if each[0] in ORDER[:place]]
            after = [each for each in parts if each not in before]
            self.operation.clear()
            self.operation.update([*before, (name, value), *after])
        self.operation[name] = value

    def unknown(self, sentence: str) -> None:
        """Say what the page does not say."""
        known = self.operation.get("x-unknown", [])
        if sentence not in known:
            self.put("x-unknown", [*known, sentence])

    def decide(self, key: Key, page: str, reason: str) -> None:
        """List a difference from the page that stays."""
        where = named(key)
        others = [
            each for each in self.operation.get("x-page-differences", []) if each["where"] != where
        ]
        decided = {"where": where, "page": [page], "reason": reason}
        self.put("x-page-differences", [*others, decided])

    def rename(self, old: Key, new: Key) -> None:
        """Use another name of a thing in the list of differences that stay."""
        name = re.compile(rf"{re.escape(named(old))}(?![\w])")
        for each in self.operation.get("x-page-differences", []):
            each["where"] = name.sub(named(new).replace("\\", r"\\"), each["where"])

    def owned(self, holder: Any, place: Any) -> Any:
        """What `holder` has at `place`, so that a change of it concerns only this operation.

        A component that others use too is copied.
        """
        node = holder[place]
        if "$ref" not in node:
            return node
        _, kind, name = node["$ref"].removeprefix("#/").split("/")
        components = self.contract["components"][kind]
        if self.is_shared(node["$ref"]):
            copy = self.unused(kind, f"{self.record_name}{name}")
            components[copy] = deepcopy(components[name])
            node["$ref"] = f"#/components/{kind}/{copy}"
            return components[copy]
        return components[name]

    @property
    def record_name(self) -> str:
        """The name of the record in the operation's answers."""
        words = self.operation["operationId"].split("_")
        return "".join(word[:1].upper() + word[1:] for word in words)

    def unused(self, kind: str, name: str) -> str:
        """A name for a new component."""
        while name in self.contract["components"][kind]:
            name += "Record"
        return name

    def is_shared(self, reference: str | None) -> bool:
        """Whether other operations use a component, too."""
        operations = (each for item in self.contract["paths"].values() for each in item.values())
        users = (each for each in operations if reference in self._reached(each))
        return reference is not None and len(list(users)) > 1

    def validator(self, schema: Any) -> Callable[[Any], bool]:
        """A function that says whether a value has a schema."""
        whole = {"allOf": [schema], "components": self.contract["components"]}
        validator = jsonschema_rs.Draft202012Validator(_plain(whole))
        return lambda value: validator.is_valid(_plain(value))

    def used(self) -> set[str]:
        """The references to all components that an operation uses."""
        return self._reached(self.contract["paths"])

    def remove_unused(self, before: set[str]) -> None:
        """Remove the records that no operation uses any more."""
        schemas = self.contract["components"]["schemas"]
        for reference in before - self.used():
            _, _, kind, name = reference.split("/")
            if kind == "schemas" and "properties" in schemas[name]:
                del schemas[name]

    def _reached(self, node: Any) -> set[str]:
        """All references in a part of the contract, and in what they refer to."""
        found: set[str] = set()
        left = [*references(node)]
        while left:
            reference = left.pop()
            if reference not in found:
                found.add(reference)
                target = self.contract
                for key in reference.removeprefix("#/").split("/"):
                    target = target[key]
                left += references(target)
        return found


def references(node: Any) -> Iterator[str]:
    """The references in a part of the contract."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def renamed(mapping: dict[str, Any], old: str, new: str) -> None:
    """Rename a key; it stays where it is."""
    items = [(new if key == old else key, value) for key, value in mapping.items()]
    mapping.clear()
    mapping.update(items)


def inserted(mapping: dict[str, Any], name: str, value: Any, order: list[str]) -> None:
    """Add a key behind those that precede it in `order`."""
    earlier = order[: order.index(name)]
    keys = list(mapping)
    place = max((keys.index(each) + 1 for each in earlier if each in mapping), default=0)
    items = list(mapping.items())
    items.insert(place, (name, value))
    mapping.clear()
    mapping.update(items)


def _plain(value: Any) -> Any:
    """A value without Decimal, for validation only."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | bool | None) else float(value)
