"""Reads the contract."""

import re
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
MOST_VALUES = 200_000
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


class Loader(yaml.CSafeLoader):
    """Reads YAML 1.2, as OpenAPI requires, and numbers exactly: none passes through a float."""


_KEPT = ("null", "int", "float", "merge")
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in each if tag.endswith(_KEPT)]
    for first, each in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", "^(true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("float", "^[-+]?[0-9]+[eE][-+]?[0-9]+$|^0o[0-7]+$", "-+0123456789"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), [*_first])


def _number(loader: Loader, node: yaml.ScalarNode) -> int | Decimal:
    """A number as JSON writes it. Versions of YAML disagree about others, such as 1:30 or 010."""
    text = str(loader.construct_scalar(node))
    if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", text):
        problem = f"{text} is not a JSON number; write it as JSON does, or in quotes"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return Decimal(text) if re.search("[.eE]", text) else int(text)


Loader.add_constructor("tag:yaml.org,2002:int", _number)
Loader.add_constructor("tag:yaml.org,2002:float", _number)


def load(path: Path = OPENAPI_YAML) -> Any:
    """The contract, with exact numbers."""
    return loaded(path.read_text("utf-8"))


def loaded(text: str) -> Any:
    """The contract in a text, with exact numbers."""
    return yaml.load(text, Loader)  # noqa: S506 - derives from CSafeLoader


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


def inlined(contract: Any, node: Any) -> Any:
    """`node` with its references resolved, except those to a schema within itself.

    Raises LookupError, also if it would become too large.
    """
    left = iter(range(MOST_VALUES))

    def visit(node: Any, within: tuple[str, ...]) -> Any:
        if next(left, None) is None:
            raise LookupError(f"the references lead to more than {MOST_VALUES} values")
        if isinstance(node, list):
            return [visit(each, within) for each in node]
        if isinstance(node, dict):
            reference = node.get("$ref")
            if reference in within:
                return node
            # Keys beside a reference, such as `description`, add to its target.
            whole = resolved(contract, node) | {k: v for k, v in node.items() if k != "$ref"}
            within = (*within, reference) if reference else within
            return {key: visit(each, within) for key, each in whole.items()}
        return node

    return visit(node, ())


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
