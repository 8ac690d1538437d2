"""Generates the wire client from the contract, and adds the contract as JSON.

openapi-python-client checks the contract and makes the Python names; the templates decide what is
written. The client is made in a new folder, which then replaces the old one, so that no old file
stays.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined
from openapi_python_client import Project
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser.errors import GeneratorError
from openapi_python_client.strings import ClassName, PythonIdentifier, snake_case

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parent / "openapi.yaml"
PACKAGE = HERE / "binance_small_liability_api"
TEMPLATES = HERE / "templates"
NOTE = "Generated from openapi.yaml by `make generate`. Do not edit."
# With this in its docstring, pytest does not warn if the package is already imported.
INIT = '"""The wire client of the contract: records and operations.\n\nPYTEST_DONT_REWRITE\n"""\n'
ALL = """from typing import Any
from ..operation import Operation
ALL: dict[str, Operation[..., Any]] = {{each.name: each for each in ({},)}}
"""
STAMP = "timestamp"  # the parameter that is added when a request is signed
RUFF = [sys.executable, "-m", "ruff"]
STYLE = ["--isolated", "--no-cache", "--quiet", "--target-version=py311", "--line-length=100"]


class Inexpressible(Exception):
    """The templates cannot express a part of the contract. The message names the place."""


@dataclass
class Kind:
    """How the generated code treats the values of a schema: pieces of Python.

    Attributes:
        type: the type of a value.
        read: a reader.
        write: makes the expression that writes a value, from the expression of the value.
        uses: the record in it, if there is one.
    """

    type: str
    read: str
    write: Callable[[str], str] = lambda value: value
    uses: tuple[str, ...] = ()


@dataclass
class Record:
    """An object in an answer, and the pages that describe it."""

    name: str
    schema: Any
    sources: list[str]
    fields: list[dict[str, Any]] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)


class Contract:
    """The contract, as the templates see it. Raises Inexpressible."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.records: dict[str, Record] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        for path, item in document["paths"].items():
            for method, node in item.items():
                place = f"{method.upper()} {path}"
                try:
                    operation = self._operation(place, node)
                except (LookupError, TypeError, AttributeError) as error:
                    raise Inexpressible(f"{place}: {error!r}") from error
                self.operations[operation["name"]] = operation

    def _whole(self, node: Any) -> Any:
        """`node` with what it refers to; keys beside a reference take precedence."""
        if "$ref" not in node:
            return node
        target = self.document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        return {**self._whole(target), **{k: v for k, v in node.items() if k != "$ref"}}

    def _operation(self, place: str, node: Any) -> dict[str, Any]:
        method, _, path = place.partition(" ")
        name = PythonIdentifier(node["operationId"], "")
        schemes = self.document["components"]["securitySchemes"]
        security = node.get("security", self.document["security"])
        sent_in = {schemes[name]["in"] for alternative in security for name in alternative}
        success = self._whole(node["responses"]["200"])
        schema = success["content"]["application/json"]["schema"]
        source = node["externalDocs"]["url"]
        headers = [name for name in success.get("headers", ()) if "WEIGHT" in name.upper()]
        parameters = [self._whole(each) for each in node.get("parameters", ())]
        answer = Kind("None", "nothing")
        if schema:
            answer = self._kind(schema, f"{place} 200", ClassName(name, ""), source)
        return {
            "name": name,
            "method": method,
            "path": path,
            "summary": node["summary"],
            "description": _text(node),
            "source": source,
            "parameters": [self._parameter(place, each) for each in parameters if _is_given(each)],
            "answer": answer,
            "has_key": "header" in sent_in,
            "signed": "query" in sent_in,
            "weight": node["x-request-weight"],
            "limiter": node["x-request-weight-by"],
            "weight_per_minute": node.get("x-request-weight-per-minute"),
            "weight_header": headers[0] if headers else None,
        }

    def _parameter(self, place: str, node: Any) -> dict[str, Any]:
        place = f"{place} parameter {node['name']}"
        schema = self._whole(node["schema"])
        kind = self._kind(schema, place, "", "")
        is_list = schema["type"] == "array"
        items = self._whole(schema["items"]) if is_list else schema
        names = {"int": "integer", "datetime": "time", "Decimal": "decimal", "bool": "boolean"}
        if node["in"] != "query" or kind.uses or "None" in kind.type:
            raise Inexpressible(f"{place}: it must be a value in the query")
        if is_list and (node.get("explode", True) or items["type"] != "string"):
            raise Inexpressible(f"{place}: a list must be of strings, with explode: false")
        facts = {
            "kind": "array" if is_list else names.get(kind.type, "string"),
            "required": node.get("required", False),
            "default": schema.get("default"),
            "minimum": schema.get("minItems" if is_list else "minimum"),
            "maximum": schema.get("maxItems" if is_list else "maximum"),
            "allowed": tuple(items.get("enum", ())),
            "pattern": items.get("pattern", ""),
        }
        return {
            "name": _identifier(node, node["name"]),
            "wire_name": node["name"],
            "type": kind.type,
            "required": facts["required"],
            "description": _text(node) + _bounds(facts),
            "facts": {k: v for k, v in facts.items() if v not in (None, False, (), "")},
        }

    def _kind(self, given: Any, place: str, name: str, source: str) -> Kind:
        """How the values of a schema are treated. `name` is that of an object without a name."""
        if "$ref" in given:
            name = given["$ref"].rpartition("/")[2]
        schema = self._whole(given)
        choices = schema.get("oneOf") or schema.get("anyOf")
        if choices is None and isinstance(schema.get("type"), list):
            choices = [{**schema, "type": each} for each in schema["type"]]
        if choices is not None:
            return self._choice([self._whole(each) for each in choices], place, name, source)
        match schema:
            case {"type": "array", "items": items}:
                return _list(self._kind(items, f"{place}[]", f"{name}Item", source))
            case {"type": "object", "properties": _}:
                record = ClassName(name, "")
                self._add_record(record, schema, place, source)
                return Kind(record, f"{record}.from_dict", "{}.to_dict()".format, (record,))
            case {"type": "string", "enum": texts}:
                allowed = ", ".join(repr(each) for each in texts if each is not None)
                return Kind(f"Literal[{allowed}]", f"one_of({allowed})")
            case {"type": "string", "format": "decimal"}:
                return Kind("Decimal", "decimal", 'format({}, "f")'.format)
            case {"type": "string", "format": "date-time"}:
                return Kind("datetime", "date_time", "{}.isoformat()".format)
            case {"type": "string"} if "format" not in schema:
                shortest = schema.get("minLength", 0)
                return Kind("str", f"text_of({shortest})" if shortest else "text")
            case {"type": "integer", "format": "unix-milliseconds", "minimum": low, "maximum": top}:
                return Kind(
                    "datetime", f"unix_milliseconds({low}, {top})", "milliseconds({})".format
                )
            case {"type": "integer"} if schema.get("format") in (None, "int32", "int64"):
                bounds = f"{schema.get('minimum')}, {schema.get('maximum')}"
                return Kind("int", f"integer({bounds})")
            case {"type": "number"}:
                return Kind("Decimal", "decimal")
            case {"type": "boolean"}:
                return Kind("bool", "boolean")
        raise Inexpressible(f"{place}: {_shown(schema)} cannot be expressed")

    def _choice(self, choices: list[Any], place: str, name: str, source: str) -> Kind:
        """A number or a decimal string, or either of two types of which one is null."""
        present = [each for each in choices if each.get("type") != "null"]
        kinds = [self._kind(each, place, name, source) for each in present]
        types = sorted(str(each.get("type")) for each in present)
        is_decimal = types == ["number", "string"] and {kind.type for kind in kinds} == {"Decimal"}
        if len(kinds) == 1 or is_decimal:
            # The first choice is what the fake writes.
            return kinds[0] if present == choices else _nullable(kinds[0])
        raise Inexpressible(f"{place}: {' or '.join(map(_shown, choices))} cannot be expressed")

    def _add_record(self, name: str, schema: Any, place: str, source: str) -> None:
        if name in self.records:
            if self.records[name].schema != schema:
                raise Inexpressible(f"{place}: {name} is also the name of another record")
            self._add_source(name, source)
            return
        record = self.records[name] = Record(name, schema, [source])
        for wire_name, given in schema["properties"].items():
            kind = self._kind(given, f"{place}.{wire_name}", f"{name} {wire_name}", source)
            record.uses.update(set(kind.uses) - {name})
            record.fields.append(
                {
                    "name": _identifier(given, wire_name),
                    "wire_name": wire_name,
                    "kind": kind,
                    "required": wire_name in schema.get("required", ()),
                    "description": _text(self._whole(given)),
                }
            )

    def _add_source(self, name: str, source: str) -> None:
        record = self.records[name]
        if source not in record.sources:
            record.sources.append(source)
            for used in record.uses:
                self._add_source(used, source)


def _is_given(parameter: Any) -> bool:
    return bool(parameter["name"] != STAMP)


def _list(item: Kind) -> Kind:
    def write(value: str) -> str:
        written = item.write("item")
        return value if written == "item" else f"[{written} for item in {value}]"

    return Kind(f"list[{item.type}]", f"array({item.read})", write, item.uses)


def _nullable(kind: Kind) -> Kind:
    def write(value: str) -> str:
        written = kind.write(value)
        return value if written == value else f"None if {value} is None else {written}"

    return Kind(f"{kind.type} | None", f"nullable({kind.read})", write, kind.uses)


def _identifier(node: Any, wire_name: str) -> str:
    return PythonIdentifier(node.get("x-public-name", wire_name), "field_")


def _shown(schema: Any) -> str:
    return f"type {schema.get('type')} with format {schema.get('format')}"


def _text(node: Any) -> str:
    return " ".join(node.get("description", "Not described.").split())


def _bounds(facts: dict[str, Any]) -> str:
    """The bounds of a parameter as a sentence."""
    low, top, default = (facts[name] for name in ("minimum", "maximum", "default"))
    if facts["kind"] == "time" or (low is None and top is None):
        return ""
    items = " items" if facts["kind"] == "array" else ""
    by_default = "" if default is None else f", {default} by default"
    return f" {low} to {top}{items}{by_default}."


def doc(text: str, column: int, hanging: int = 0) -> str:
    """A text of the contract within a docstring, from `column` on, with the names of Python."""
    text = re.sub("`([a-z]+[A-Z][A-Za-z]*)`", lambda name: f"`{snake_case(name[1])}`", text)
    plain = " ".join(text.split()).replace("\\", "\\\\").replace('"', "'")
    first, rest = " " * column, " " * (column + hanging)
    filled = textwrap.fill(
        plain, 96, initial_indent=first, subsequent_indent=rest, break_long_words=False
    )
    return filled.lstrip()


class _ExactLoader(yaml.CSafeLoader):
    """Marks numbers with a fraction, so that they do not pass through a float."""


_ExactLoader.add_constructor(
    "tag:yaml.org,2002:float", lambda _, node: f"\0{Decimal(node.value)}\0"
)


def contract_as_json(contract: Path) -> str:
    """The contract as JSON with exact numbers and a note in its first line."""
    document = yaml.load(contract.read_text("utf-8"), _ExactLoader)  # noqa: S506 - derives from CSafeLoader
    text = json.dumps(document, indent=1, ensure_ascii=False).removeprefix("{\n")
    numbers = re.sub(r'"\\u0000(.+?)\\u0000"', r"\1", text)
    return f'{{"x-generated": "{NOTE}",\n{numbers}\n'


def modules(path: Path) -> Iterator[tuple[str, str]]:
    """The names and texts of the package's modules. Raises Inexpressible."""
    document = yaml.safe_load(path.read_text("utf-8"))
    contract = Contract(document)
    config = Config.from_sources(ConfigFile(), MetaType.NONE, path, "utf-8", True, None)
    data = GeneratorData.from_dict(document, config=config)
    if isinstance(data, GeneratorError):
        raise Inexpressible(f"{data.header}: {data.detail}")
    collections = data.endpoint_collections_by_tag.values()
    for error in [*data.errors, *(each for found in collections for each in found.parse_errors)]:
        raise Inexpressible(f"{error.header}: {error.detail}")
    environment = Project(openapi=data, config=config, custom_template_path=TEMPLATES).env
    environment.undefined = StrictUndefined
    environment.globals.update(doc=doc, py=repr, snake=snake_case, text=_text)
    yield "__init__", INIT
    for name in ("values", "operation"):
        yield name, (TEMPLATES / f"{name}.py").read_text("utf-8")
    things: tuple[tuple[str, dict[str, Any]], ...] = (
        ("record", contract.records),
        ("operation", contract.operations),
    )
    for kind, named in things:
        template = environment.get_template(f"{kind}.py.jinja")
        imports = "".join(f"from .{snake_case(name)} import {name} as {name}\n" for name in named)
        known = ALL.format(", ".join(named)) if kind == "operation" else ""
        yield f"{kind}s/__init__", f'"""The {kind}s of the contract."""\n{imports}{known}'
        for name, thing in named.items():
            yield f"{kind}s/{snake_case(name)}", template.render(it=thing)


def generate(contract: Path, package: Path) -> None:
    """Writes the wire client of `contract` to `package`, replacing the old one."""
    package.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a folder can only be renamed within one file system.
    with tempfile.TemporaryDirectory(dir=package.parent, prefix=".generating-") as scratch:
        fresh = Path(scratch, "fresh")
        for module, text in modules(contract):
            file = fresh / f"{module}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"# {NOTE}\n{text}", "utf-8")
        (fresh / "py.typed").write_text(f"# {NOTE}\n", "utf-8")
        (fresh / "openapi.json").write_text(contract_as_json(contract), "utf-8")
        # It removes the imports that a module does not need.
        subprocess.run([*RUFF, "check", "--fix", "--select=F,I,UP", *STYLE, fresh], check=True)
        subprocess.run([*RUFF, "format", *STYLE, fresh], check=True)
        if package.exists():
            package.rename(Path(scratch, "stale"))
        fresh.rename(package)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contract", type=Path, default=CONTRACT)
    parser.add_argument("--package", type=Path, default=PACKAGE)
    arguments = parser.parse_args()
    try:
        generate(arguments.contract.resolve(), arguments.package.resolve())
    except Inexpressible as error:
        sys.exit(f"{arguments.contract}: {' '.join(str(error).split())}")
