"""Reads the contract."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

ROOT = Path(__file__).resolve().parent.parent
OPENAPI_YAML = ROOT / "openapi.yaml"
LIST_PATH = "/sapi/v1/margin/exchange-small-liability"
TIME_PATH = "/api/v3/time"
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


class _ExactLoader(yaml.CSafeLoader):
    """Reads numbers as Decimal, so that no expected value passes through a float."""


def _exact(loader: _ExactLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(loader.construct_scalar(node)))


_ExactLoader.add_constructor("tag:yaml.org,2002:float", _exact)


def load(path: Path = OPENAPI_YAML) -> Any:
    """The contract, with exact numbers."""
    return yaml.load(path.read_text("utf-8"), _ExactLoader)  # noqa: S506 - derives from CSafeLoader


@cache
def today() -> Any:
    """The contract of this project. Reading it takes 50 ms, so it is shared: do not change it."""
    return load()


@dataclass(frozen=True)
class Example:
    """One documented answer of an operation."""

    status: str  # as the contract writes it, so perhaps "5XX"
    name: str
    media_type: str
    value: Any
    headers: dict[str, Any]  # the example values of its headers

    def __str__(self) -> str:
        return f"{self.status}-{self.name}"


def resolved(contract: Any, node: Any) -> Any:
    """What `node` refers to within `contract`, or `node` itself. Raises LookupError."""
    seen = []
    while "$ref" in node:
        reference = node["$ref"]
        if reference in seen or not reference.startswith("#/"):
            raise LookupError(f"{reference} refers to nothing in this file")
        seen.append(reference)
        node = contract
        for key in unquote(reference).removeprefix("#/").split("/"):
            node = node[key.replace("~1", "/").replace("~0", "~")]
    return node


def inlined(contract: Any, node: Any, within: tuple[str, ...] = ()) -> Any:
    """`node` with its references resolved, except references to the schemas it is `within`."""
    if isinstance(node, list):
        return [inlined(contract, each, within) for each in node]
    if isinstance(node, dict):
        reference = node.get("$ref")
        if reference in within:
            return node
        # Keys beside a reference, such as `description`, add to its target.
        whole = resolved(contract, node) | {k: v for k, v in node.items() if k != "$ref"}
        within = (*within, reference) if reference else within
        return {key: inlined(contract, each, within) for key, each in whole.items()}
    return node


def operations(contract: Any) -> Iterator[tuple[str, str]]:
    """Method and path of every operation."""
    for path, item in contract["paths"].items():
        for method in resolved(contract, item):
            if method in _METHODS:
                yield method.upper(), path


def definition_of(contract: Any, method: str, path: str) -> Any:
    """An operation with what its path and the contract add to it; None if there is none."""
    item = resolved(contract, contract["paths"].get(path, {}))
    if method.lower() not in item:
        return None
    own = item[method.lower()]
    shared = {"security": contract.get("security", []), "parameters": []}
    shared["servers"] = item.get("servers") or contract.get("servers", [])
    parameters = [*item.get("parameters", []), *own.get("parameters", [])]
    return shared | own | {"parameters": [_parameter_of(contract, each) for each in parameters]}


def _parameter_of(contract: Any, node: Any) -> Any:
    parameter = resolved(contract, node)
    return {**parameter, "schema": inlined(contract, parameter.get("schema", {}))}


def responses(contract: Any, method: str, path: str) -> dict[str, Any]:
    """The documented answers of an operation, by their status as the contract writes it."""
    documented = (definition_of(contract, method, path) or {}).get("responses", {})
    return {str(status): resolved(contract, node) for status, node in documented.items()}


def answer_of(contract: Any, method: str, path: str, status: str) -> Any:
    """The answer documented for a status, its range or `default`; None if there is none."""
    documented = responses(contract, method, path)
    return documented.get(status) or documented.get(f"{status[0]}XX") or documented.get("default")


def examples(contract: Any, method: str = "GET", path: str = LIST_PATH) -> Iterator[Example]:
    """Every named example of every documented answer of an operation."""
    for status, answer in responses(contract, method, path).items():
        headers = {
            name: resolved(contract, header)["example"]
            for name, header in answer.get("headers", {}).items()
        }
        for media_type, media in answer["content"].items():
            for name, example in media["examples"].items():
                yield Example(status, name, media_type, example["value"], headers)
