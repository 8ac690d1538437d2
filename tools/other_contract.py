"""Reads an untrusted contract. Refuses what could stop the tools or make them open files."""

from pathlib import Path
from typing import Any

import yaml

from tools.contract import MOST_VALUES, inlined, loaded

MOST_BYTES, MOST_DEPTH = 10 * 2**20, 200


class UnusableError(Exception):
    """A file is not a contract that the tools can use; the message is the reason."""


def read(path: Path) -> Any:
    """The contract in a file, with exact numbers. Raises UnusableError or LookupError."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UnusableError("it is larger than 10 MiB")
        text = content.decode("utf-8-sig")
        check_size(text)
        contract = loaded(text)
    except OSError as error:
        raise UnusableError(error.strerror or str(error)) from error
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise UnusableError(" ".join(str(error).split())) from error
    fields = contract if isinstance(contract, dict) else {}
    if not str(fields.get("openapi")).startswith("3.") or not fields.get("paths"):
        raise UnusableError("it has no paths, or another version")
    check_references(contract, "#")
    # Prism would not start if its references made it too long.
    inlined(contract, fields["paths"])
    return contract


def check_size(text: str) -> None:
    """Raises UnusableError if aliases would make a short text long, or if it is nested deeply."""
    sizes: dict[str | None, int] = {}
    # The numbers of values so far in each open list or object, and its anchor.
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise UnusableError(f"the alias {event.anchor} contains itself")
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
        if total > MOST_VALUES:
            raise UnusableError(f"it has more than {MOST_VALUES} values")
        if len(open_nodes) > MOST_DEPTH:
            raise UnusableError(f"it is nested more than {MOST_DEPTH} deep")


def check_references(node: Any, place: str) -> None:
    """Raises UnusableError for a reference that Prism would fetch or open."""
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            raise UnusableError(f"{place} refers to {reference}, which is outside this file")
        for key, value in node.items():
            name = str(key).replace("~", "~0").replace("/", "~1")
            check_references(value, f"{place}/{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            check_references(value, f"{place}/{number}")
