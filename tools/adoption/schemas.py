"""The rules by which types follow from what a page shows: a type, a name, an example."""

import re
from decimal import Decimal
from itertools import chain
from typing import Any

from tools.examples import kind_of

DECIMAL = {"$ref": "#/components/schemas/DecimalString"}
TIME = {"$ref": "#/components/schemas/Time"}
LARGEST = {"INT": 2**31 - 1, "LONG": 2**53 - 1}
# A number in quotes is an amount, unless its name says otherwise.
NO_AMOUNT = r"(^id|Ids?|ID|[Cc]ode|[Nn]o|[Nn]ame|[Tt]ag|[Uu]id|[Vv]ersion|[Hh]ash|[Aa]ddress)$"
TIME_NAME = r"([Tt]ime|[Tt]imestamp|[Dd]ate)$"
MILLISECONDS = 13  # digits


def schema_of_parameter(kind: str, name: str, values: list[str]) -> dict[str, Any] | None:
    """The schema of a parameter of a page's type, or None if the type is unknown."""
    if kind in LARGEST:
        is_time = kind == "LONG" and re.search(TIME_NAME, name)
        form = "unix-milliseconds" if is_time else {"INT": "int32", "LONG": "int64"}[kind]
        return {"type": "integer", "format": form, "minimum": 0, "maximum": LARGEST[kind]}
    known: dict[str, dict[str, Any]] = {
        "STRING": {"type": "string"},
        "ENUM": {"type": "string", "enum": values} if values else {"type": "string"},
        "BOOLEAN": {"type": "boolean"},
        "DECIMAL": DECIMAL,
        "ARRAY": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": "^[^,]+$"},
        },
    }
    return known.get(kind)


def schema_of(values: list[Any], name: str, *, complete: bool) -> dict[str, Any] | None:
    """The schema of values in examples, or None if the contract cannot express them.

    Args:
        values: what the examples have at one place.
        name: the field's name.
        complete: whether fields that no example lacks are required.
    """
    kinds = {kind_of(value) for value in values}
    schema = _schema(kinds - {"null"}, values, name, complete=complete)
    return nullable(schema) if schema and "null" in kinds else schema


def _schema(
    kinds: set[str], values: list[Any], name: str, *, complete: bool
) -> dict[str, Any] | None:
    numbers = {"integer", "number"}
    if kinds == {"object"}:
        return _object([each for each in values if each is not None], complete=complete)
    if kinds == {"array"}:
        items = list(chain(*(each for each in values if each is not None)))
        inside = schema_of(items, name, complete=complete) if items else None
        return {"type": "array", "items": inside} if inside else None
    if not kinds:
        return {"type": "string"}
    if kinds == {"boolean"}:
        return {"type": "boolean"}
    if kinds == {"integer"}:
        return TIME if _is_time(values, name) else {"type": "integer", "format": "int64"}
    if kinds == {"decimal string"} and not re.search(NO_AMOUNT, name):
        return DECIMAL
    if kinds <= {"string", "decimal string"}:
        return {"type": "string"}
    if kinds <= numbers:
        return {"type": "number"}
    if kinds <= {*numbers, "decimal string"}:
        return {"oneOf": [{"type": "number"}, DECIMAL]}
    return None


def _object(values: list[dict[str, Any]], *, complete: bool) -> dict[str, Any] | None:
    properties = {}
    for field in dict.fromkeys(chain(*values)):
        schema = schema_of(
            [each[field] for each in values if field in each], field, complete=complete
        )
        if schema is not None:
            properties[field] = schema
    if not properties:
        return None
    required = [name for name in properties if complete and all(name in each for each in values)]
    whole = {"type": "object", "additionalProperties": True, "required": required}
    return {k: v for k, v in whole.items() if v} | {"properties": properties}


def _is_time(values: list[Any], name: str) -> bool:
    return bool(re.search(TIME_NAME, name)) and all(
        len(str(each)) == MILLISECONDS for each in values if each is not None
    )


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the same values and null."""
    if isinstance(schema.get("type"), str) and "properties" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    choices = schema.get("oneOf", [schema])
    return {"oneOf": [*choices, {"type": "null"}]}


def converted(value: Any, kinds: set[str], sample: Any) -> Any:
    """A value as one of other kinds, or `sample` if that is not possible."""
    kind = kind_of(value)
    wider = {"integer": "number", "decimal string": "string"}
    if {kind, wider.get(kind)} & kinds:
        return value
    if kind in ("integer", "number") and kinds & {"string", "decimal string"}:
        return f"{Decimal(value):f}"
    if kind == "decimal string" and kinds & {"integer", "number"}:
        whole = value.lstrip("-").isdigit()
        return int(value) if whole else Decimal(value) if "number" in kinds else sample
    return sample
