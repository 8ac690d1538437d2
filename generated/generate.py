"""Generates the wire client from the contract, and adds the contract as JSON.

openapi-python-client checks the contract and makes the Python names. `templates/` decides what is
written; `runtime/` is copied, because generated modules use it. The client is made in a new folder,
which then replaces the old one, so that no old file stays.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

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
TEMPLATES, RUNTIME = HERE / "templates", HERE / "runtime"
NOTE = "Generated from openapi.yaml by `make generate`. Do not edit."
# With this in its docstring, pytest does not warn if the package is already imported.
INIT = '"""The wire client of the contract: records and operations.\n\nPYTEST_DONT_REWRITE\n"""\n'
ALL = """from typing import Any
from ..operation import Operation
ALL: dict[str, Operation[..., Any]] = {{each.name: each for each in ({},)}}
"""
EVEN = {"minimum": 'float("-inf")', "maximum": 'float("inf")'}  # where there is no bound
PLAIN = (None, "int32", "int64")  # the formats of a whole number
STAMP = "timestamp"  # the parameter that is added when a request is signed
RUFF = [sys.executable, "-m", "ruff"]
STYLE = ["--isolated", "--no-cache", "--quiet", "--target-version=py311", "--line-length=100"]


class Inexpressible(Exception):
    """The templates cannot express a part of the contract. The message names the place."""


class Kind(NamedTuple):
    """How the generated code treats the values of a schema: pieces of Python.

    Attributes:
        type: the type of a value.
        read: a reader.
        write: makes the expression that writes a value, from the expression of the value.
        uses: the record in it, if there is one.
    """

    type: str
    read: str
    write: Callable[[str], str] = str
    uses: tuple[str, ...] = ()


class Contract:
    """The contract, as the templates see it. Raises Inexpressible.

    Attributes:
        records: the objects in answers, by their names.
        operations: the operations, by their names.
    """

    def __init__(self, document: Any) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        self._document = document
        self._source = ""  # the page of the operation that is read
        for path, item in document["paths"].items():
            for method, node in item.items():
                place = f"{method.upper()} {path}"
                try:
                    operation = self._operation(place, node)
                except (LookupError, TypeError, AttributeError) as error:
                    raise Inexpressible(f"{place}: {error!r}") from error
                self.operations[operation["name"]] = operation
                self._check_references(place, node)
        self._check_references("components", document["components"])

    def _check_references(self, place: str, node: Any) -> None:
        if isinstance(node, list):
            node = dict(enumerate(node))
        if isinstance(node, dict):
            try:
                self._whole(node)
            except (LookupError, TypeError, AttributeError) as error:
                raise Inexpressible(f"{place}: {node['$ref']} does not exist") from error
            for each in node.values():
                self._check_references(place, each)

    def _whole(self, node: Any) -> Any:
        """`node` with what it refers to; keys beside a reference take precedence."""
        if "$ref" not in node:
            return node
        target = self._document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        return {**self._whole(target), **{k: v for k, v in node.items() if k != "$ref"}}

    def _operation(self, place: str, node: Any) -> dict[str, Any]:
        method, _, path = place.partition(" ")
        self._source = node["externalDocs"]["url"]
        schemes = self._document["components"]["securitySchemes"]
        security = node.get("security", self._document["security"])
        sent_in = {schemes[name]["in"] for alternative in security for name in alternative}
        success = self._whole(node["responses"]["200"])
        schema = success["content"]["application/json"]["schema"]
        name = ClassName(node["operationId"], "")
        answer = self._kind(schema, f"{place} 200", name) if schema else Kind("None", "nothing")
        headers = [header for header in success.get("headers", ()) if "WEIGHT" in header.upper()]
        parameters = [self._whole(each) for each in node.get("parameters", ())]
        budget = node.get("x-request-weight-per-minute")
        if budget is not None and (not headers or node["x-request-weight"] > budget):
            raise Inexpressible(f"{place}: a budget needs a weight header, and a weight within it")
        if PythonIdentifier(node["operationId"], "") != node["operationId"]:
            raise Inexpressible(f"{place}: operationId {node['operationId']} is not in snake_case")
        is_signed = "query" in sent_in
        given = [each for each in parameters if not is_signed or each["name"] != STAMP]
        if is_signed and len(given) == len(parameters):
            raise Inexpressible(f"{place}: a signed operation needs the parameter {STAMP}")
        return {
            "name": PythonIdentifier(node["operationId"], ""),
            "method": method,
            "path": path,
            "summary": node["summary"],
            "description": _text(node),
            "source": self._source,
            "parameters": _distinct(place, [self._parameter(place, each) for each in given]),
            "answer": answer,
            "has_key": "header" in sent_in,
            "signed": is_signed,
            "weight": node["x-request-weight"],
            "limiter": node["x-request-weight-by"],
            "weight_per_minute": budget,
            "weight_header": headers[0] if headers else None,
        }

    def _parameter(self, place: str, node: Any) -> dict[str, Any]:
        place = f"{place} parameter {node['name']}"
        schema = self._whole(node["schema"])
        kind = self._kind(schema, place, "")
        is_list = schema["type"] == "array"
        items = self._whole(schema["items"]) if is_list else schema
        if node["in"] != "query" or kind.uses or "None" in kind.type:
            raise Inexpressible(f"{place}: it must be a value in the query")
        odd = {"maxLength", "minLength", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
        if kind.type not in ("int", "datetime"):
            odd |= {"minimum", "maximum"}
        for name in (odd & {*schema, *items}) | ({"date-time"} & {schema.get("format")}):
            raise Inexpressible(f"{place}: {name} cannot be expressed")
        if is_list and (node.get("explode", True) or items["type"] != "string"):
            raise Inexpressible(f"{place}: a list must be of strings, with explode: false")
        names = {"int": "integer", "datetime": "time", "Decimal": "decimal", "bool": "boolean"}
        facts = {
            "name": node["name"],
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
            "type": kind.type if facts["required"] else f"{kind.type} | None = None",
            "description": _text(node) + _bounds(facts),
            "facts": {k: v for k, v in facts.items() if v is not None and v != () and v != ""},
        }

    def _kind(self, given: Any, place: str, name: str) -> Kind:
        """How the values of a schema are treated. `name` is that of an object without a name."""
        if "$ref" in given:
            name = given["$ref"].rpartition("/")[2]
        schema = self._whole(given)
        choices = schema.get("oneOf") or schema.get("anyOf")
        if isinstance(schema.get("type"), list):
            choices = [{**schema, "type": each} for each in schema["type"]]
        if choices is not None:
            return self._choice([self._whole(each) for each in choices], place, name)
        match schema:
            case {"type": "array", "items": items}:
                return _list(self._kind(items, f"{place}[]", f"{name}Item"))
            case {"type": "object", "properties": _}:
                record = ClassName(name, "")
                self._add_record(record, schema, place)
                return Kind(record, f"{record}.from_dict", "{}.to_dict()".format, (record,))
            case {"type": "string", "enum": texts}:
                allowed = ", ".join(repr(each) for each in texts if each is not None)
                return Kind(f"Literal[{allowed}]", f"one_of({allowed})")
            case {"type": "string", "format": "decimal"}:
                return Kind("Decimal", "decimal", 'format({}, "f")'.format)
            case {"type": "string", "format": "date-time"}:
                return Kind("datetime", "date_time", "{}.isoformat()".format)
            case {"type": "string"} if "format" not in schema:
                return Kind("str", f"text({schema.get('minLength', 0)})")
            case {"type": "integer", "format": "unix-milliseconds"}:
                read = f"unix_milliseconds({schema.get('minimum', 0)}, "
                read += f"{schema.get('maximum', 'LATEST')})"
                return Kind("datetime", read, "milliseconds({})".format)
            case {"type": "integer"} if schema.get("format") in PLAIN and "enum" not in schema:
                low, top = (schema.get(each, EVEN[each]) for each in ("minimum", "maximum"))
                return Kind("int", f"integer({low}, {top})")
            case {"type": "number"}:
                return Kind("Decimal", "decimal")
            case {"type": "boolean"}:
                return Kind("bool", "boolean")
        raise Inexpressible(f"{place}: {_shown(schema)} cannot be expressed")

    def _choice(self, choices: list[Any], place: str, name: str) -> Kind:
        """A number or a decimal string, or one of two types of which one is null."""
        present = [each for each in choices if each.get("type") != "null"]
        kinds = [self._kind(each, place, name) for each in present]
        types = sorted(str(each.get("type")) for each in present)
        is_decimal = types == ["number", "string"] and {kind.type for kind in kinds} == {"Decimal"}
        if len(kinds) != 1 and not is_decimal:
            raise Inexpressible(f"{place}: {' or '.join(map(_shown, choices))} cannot be expressed")
        # The first choice is what the fake writes.
        return kinds[0] if present == choices else _nullable(kinds[0])

    def _add_record(self, name: str, schema: Any, place: str) -> None:
        if name in self.records:
            if self.records[name]["schema"] != schema:
                raise Inexpressible(f"{place}: {name} is also the name of another record")
            return
        record = {"name": name, "schema": schema, "description": _text(schema)}
        self.records[name] = record | {"source": self._source}
        fields = []
        for wire_name, given in schema["properties"].items():
            kind = self._kind(given, f"{place}.{wire_name}", f"{name} {wire_name}")
            required = wire_name in schema.get("required", ())
            fields.append(
                {
                    "name": _identifier(given, wire_name),
                    "wire_name": wire_name,
                    "kind": kind if required else _nullable(kind),
                    "required": required,
                    "description": _text(self._whole(given)),
                }
            )
        uses = {used for each in fields for used in each["kind"].uses}
        if name in uses:
            raise Inexpressible(f"{place}: {name} contains itself")
        self.records[name] |= {"fields": _distinct(place, fields), "uses": sorted(uses)}


def _distinct(place: str, named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [each["name"] for each in named]
    for name in names:
        if names.count(name) > 1:
            raise Inexpressible(f"{place}: two names become {name}; use x-public-name")
    return named


def _list(item: Kind) -> Kind:
    def write(value: str) -> str:
        written = item.write("item")
        return value if written == "item" else f"[{written} for item in {value}]"

    return Kind(f"list[{item.type}]", f"array({item.read})", write, item.uses)


def _nullable(kind: Kind) -> Kind:
    def write(value: str) -> str:
        written = kind.write(value)
        return value if written == value else f"None if {value} is None else {written}"

    if kind.type.endswith("None"):
        return kind
    return Kind(f"{kind.type} | None", f"nullable({kind.read})", write, kind.uses)


def _identifier(node: Any, wire_name: str) -> str:
    return PythonIdentifier(node.get("x-public-name", wire_name), "field_")


def _shown(schema: Any) -> str:
    return f"type {schema.get('type')} with format {schema.get('format')}"


def _text(node: Any) -> str:
    return " ".join(node.get("description", "Not described.").split())


def _bounds(facts: dict[str, Any]) -> str:
    """The bounds of a parameter as a sentence."""
    low, top = facts["minimum"], facts["maximum"]
    if facts["kind"] == "time" or low is top is None:
        return ""
    words = [] if low is None else [f"at least {low}"]
    words += [] if top is None else [f"at most {top}"]
    items = " items" if facts["kind"] == "array" else ""
    default = "" if facts["default"] is None else f"; {facts['default']} by default"
    return f" {' and '.join(words).capitalize()}{items}{default}."


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
    document = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    contract = Contract(document)
    config = Config.from_sources(ConfigFile(), MetaType.NONE, path, "utf-8", True, None)
    data = GeneratorData.from_dict(document, config=config)
    if isinstance(data, GeneratorError):
        raise Inexpressible(f"{data.header}: {data.detail}")
    for error in chain(
        data.errors, *(each.parse_errors for each in data.endpoint_collections_by_tag.values())
    ):
        raise Inexpressible(f"{error.header}: {error.detail}")
    environment = Project(openapi=data, config=config, custom_template_path=TEMPLATES).env
    environment.undefined = StrictUndefined
    environment.globals.update(doc=doc, py=repr, snake=snake_case)
    yield "__init__", INIT
    for module in RUNTIME.glob("*.py"):
        yield module.stem, module.read_text("utf-8")
    for kind, things in (("record", contract.records), ("operation", contract.operations)):
        template = environment.get_template(f"{kind}.py.jinja")
        imports = [f"from .{snake_case(name)} import {name} as {name}\n" for name in things]
        known = ALL.format(", ".join(things)) if kind == "operation" else ""
        yield f"{kind}s/__init__", f'"""The {kind}s of the contract."""\n{"".join(imports)}{known}'
        for name, thing in things.items():
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
