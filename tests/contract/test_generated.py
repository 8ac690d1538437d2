"""What can be generated: every kind of value, and one line for what cannot be expressed."""

import importlib
import json
import re
import runpy
import sys
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from tools.check_generated import PACKAGE, differences
from tools.contract import LIST_PATH, OPENAPI_YAML, ROOT, today

TEXT = {"type": "string"}
DECIMAL = {"type": "string", "format": "decimal"}
TIME = {"type": "integer", "format": "unix-milliseconds", "minimum": 0, "maximum": 10**13}
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
MS = 1_767_225_600_000
# Wire name, schema, a payload, and the value that it becomes. The payload is also what is written.
FIELDS: list[tuple[str, Any, Any, Any]] = [
    ("text", TEXT, "", ""),
    ("sideEffectType", {"type": "string", "enum": ["BUY", "SELL"]}, "BUY", "BUY"),
    ("amount", DECIMAL, "0.10", Decimal("0.10")),
    ("price", {"type": "number"}, Decimal("1.50"), Decimal("1.50")),
    ("either", {"oneOf": [{"type": "number"}, DECIMAL]}, 3, Decimal(3)),
    ("eitherType", {"type": ["string", "number"], "format": "decimal"}, "3", Decimal(3)),
    ("at", TIME, MS, MOMENT),
    ("written", {"type": "string", "format": "date-time"}, "2026-01-01T00:00:00+00:00", MOMENT),
    ("count", {"type": "integer", "format": "int64", "minimum": -5, "maximum": 5}, -5, -5),
    ("isOpen", {"type": "boolean"}, False, False),
    ("amounts", {"type": "array", "items": DECIMAL}, ["1", "2.0"], [Decimal(1), Decimal("2.0")]),
    ("names", {"type": "array", "items": TEXT}, ["a"], ["a"]),
    ("maybe", {"type": ["string", "null"], "format": "decimal"}, None, None),
    ("maybeTime", {"anyOf": [TIME, {"type": "null"}]}, MS, MOMENT),
    ("maybeEither", {"oneOf": [{"type": "null"}, {"type": "number"}, DECIMAL]}, 1, Decimal(1)),
]
# Wire name, what is expected and found, and wrong payloads.
WRONG: list[tuple[str, str, list[Any]]] = [
    ("text", "a string, got null", [None]),
    ("sideEffectType", "one of BUY, SELL, got a string", ["HOLD"]),
    ("amount", "a decimal, got a string", ["NaN", "", " 1", "1\n", "1\n2", "1_0", "١"]),
    ("amount", "a decimal, got a string", ["1.", ".1", "+1"]),
    ("amount", "a decimal, got a boolean", [True]),
    ("amount", "a decimal, got an object", [{}]),
    ("price", "a decimal, got a number", [1.5]),
    ("at", "a time in milliseconds, got a number", [-1, 10**13 + 1]),
    ("written", "a time with an offset, got a string", ["2026-01-01T00:00:00"]),
    ("written", "a time, got a number", [1]),
    ("written", "a time, got a string", ["0001-01-01T00:00:00+14:00"]),
    ("count", "a whole number, got a number", [6, -6, Decimal(1)]),
    ("isOpen", "a boolean, got a number", [1]),
    ("amounts", "an array, got a string", ["1"]),
    ("maybe", "a decimal, got an array", [[]]),
]
SYMBOLS = {"type": "array", "maxItems": 2, "items": {"type": "string", "pattern": "^[A-Z]+$"}}
# Wire name, schema, a value, and its text in the query.
PARAMETERS: list[tuple[str, Any, Any, str]] = [
    ("side", {"type": "string", "enum": ["BUY", "SELL"]}, "BUY", "BUY"),
    ("isIsolated", {"type": "boolean"}, True, "true"),
    ("quoteQty", DECIMAL, Decimal("1E-8"), "0.00000001"),
    ("fromTime", TIME, MOMENT, str(MS)),
    ("limit", {"type": "integer", "minimum": 1, "maximum": 9}, 9, "9"),
    ("offset", {"type": "integer", "minimum": 0, "maximum": 5}, 0, "0"),
    ("symbols", SYMBOLS, ["A", "B"], "A,B"),
]


def _snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


def _contract(schema: Any, parameters: Any = ()) -> Any:
    """Today's contract with one more read."""
    contract = deepcopy(today())
    operation = deepcopy(contract["paths"][LIST_PATH]["get"])
    stamp = {"$ref": "#/components/parameters/Timestamp"}
    operation |= {"operationId": "newer", "parameters": [*parameters, stamp]}
    media = {"schema": schema, "examples": {"documented": {"value": []}}}
    operation["responses"]["200"]["content"] = {"application/json": media}
    contract["paths"]["/sapi/v1/newer"] = {"get": operation}
    return contract


@pytest.fixture(scope="module")
def generator() -> Any:
    """The generator as a module."""
    return importlib.import_module("generated.generate")


def _written(contract: Any, folder: Path) -> Path:
    path = folder / "openapi.yaml"
    path.write_text(json.dumps(contract, default=float))
    return path


@pytest.fixture(scope="module")
def newer(generator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The operation of a read with all kinds of values, each required and not required."""
    folder = tmp_path_factory.mktemp("generated")
    properties = {name: schema for name, schema, _, _ in FIELDS}
    optional = {f"{name}Optional": schema for name, schema, _, _ in FIELDS}
    inner = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    schema = {
        "type": "object",
        "required": [*properties, "inner", "rows"],
        "properties": {
            # Fields that are not required may be in any position.
            **optional,
            **properties,
            "inner": {**inner, "x-public-name": "inside"},
            "rows": {"type": "array", "items": inner},
        },
    }
    parameters = [
        {"name": name, "in": "query", "required": False, "explode": False, "schema": schema}
        for name, schema, _, _ in PARAMETERS
    ]
    generator.generate(_written(_contract(schema, parameters), folder), folder / "newer_api")
    for name in ("operation", "values"):  # the installed copies, in which mutmut makes its changes
        installed = importlib.import_module(f"binance_small_liability_api.{name}")
        sys.modules[f"newer_api.{name}"] = installed
    sys.path.insert(0, str(folder))
    yield importlib.import_module("newer_api.operations").newer
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.startswith("newer_api")]:
        del sys.modules[name]


def _payload() -> dict[str, Any]:
    return {
        **{name: value for name, _, value, _ in FIELDS},
        "inner": {"x": 1},
        "rows": [{"x": 2}, {"x": 3}],
    }


def test_every_kind_of_value_is_read_and_written(newer: Any) -> None:
    payload = _payload()
    record = newer.read(payload, set())
    for name, _, _, value in FIELDS:
        assert getattr(record, _snake(name)) == value
        assert getattr(record, _snake(f"{name}Optional")) is None
    assert (record.inside.x, [row.x for row in record.rows]) == (1, [2, 3])
    assert record.to_dict() == payload
    payload |= {f"{name}Optional": value for name, _, value, _ in FIELDS}
    record = newer.read(payload, set())
    for name, _, _, value in FIELDS:
        assert getattr(record, _snake(f"{name}Optional")) == value
    written = record.to_dict()
    # A field that is not required is left out instead of null.
    assert written == {k: v for k, v in payload.items() if v is not None or k == "maybe"}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        record.text = "other"


@pytest.mark.parametrize(("name", "problem", "values"), WRONG)
def test_a_wrong_value_names_its_place(
    newer: Any, name: str, problem: str, values: list[Any]
) -> None:
    # Null counts as missing where a field is not required.
    for field in (name, f"{name}Optional") if values != [None] else [name]:
        for value in values:
            with pytest.raises(ValueError, match=re.escape(f"$.{field}: expected {problem}")):
                newer.read({**_payload(), field: value}, set())


def test_missing_and_unknown_fields_are_named(newer: Any) -> None:
    payload = _payload()
    unknown: set[str] = set()
    newer.read({**payload, "fee": 1, "rows": [{"x": 2, "tier": 3}]}, unknown)
    assert unknown == {"fee", "tier"}
    with pytest.raises(ValueError, match=re.escape("$.amounts[1]: expected a decimal, got an ob")):
        newer.read({**payload, "amounts": ["1", {}]}, set())
    with pytest.raises(ValueError, match=re.escape("$.rows[0].x: missing")):
        newer.read({**payload, "rows": [{}]}, set())
    with pytest.raises(ValueError, match=re.escape("$: expected an object, got an array")):
        newer.read([], set())


def test_every_kind_of_parameter_is_encoded(newer: Any) -> None:
    for name, _, value, text in PARAMETERS:
        assert newer.query({_snake(name): value}) == {name: text}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"side": "HOLD"}, "side must be BUY or SELL"),
        ({"is_isolated": 1}, "is_isolated must be True or False"),
        ({"quote_qty": 0.1}, "quote_qty must be a Decimal"),
        ({"quote_qty": Decimal("NaN")}, "quote_qty must be a Decimal"),
        ({"from_time": MOMENT.replace(tzinfo=None)}, "from_time must be an aware datetime"),
        ({"limit": 10}, "limit must be a whole number from 1 to 9"),
        ({"limit": True}, "limit must be a whole number"),
        ({"symbols": ["A", "B", "C"]}, "symbols must have a number of items to 2"),
        ({"symbols": ["a"]}, "symbols must match"),
        ({"symbols": ["A,B"]}, "symbols must not have a comma in an item"),
        ({"symbols": []}, "symbols must"),
        ({"quote_qty": Decimal("1E+30000000")}, "quote_qty must be a Decimal"),
        ({"offset": -1}, "offset must be a whole number from 0 to 5"),
        ({"symbols": "A"}, "symbols must be a list of texts"),
        ({"symbol": "A"}, "symbol is not a parameter of newer, which has: side, is_isolated"),
    ],
)
def test_a_wrong_parameter_is_named(newer: Any, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        newer.query(given)


def _fields(**schemas: Any) -> Any:
    return _contract({"type": "object", "properties": schemas})


def _nested(schema: Any) -> Any:
    item = {"type": "object", "properties": {"odd": schema}}
    return _fields(rows={"type": "array", "items": item})


def _parameter(**parts: Any) -> Any:
    return _contract({}, [{"name": "odd", "in": "query", "schema": TEXT, **parts}])


def _changed(**parts: Any) -> Any:
    contract = _contract({})
    contract["paths"]["/sapi/v1/newer"]["get"].update(parts)
    return contract


def _loop() -> Any:
    loop = {"$ref": "#/components/schemas/Loop"}
    contract = _contract(loop)
    contract["components"]["schemas"]["Loop"] = {"type": "object", "properties": {"inside": loop}}
    return contract


@pytest.mark.parametrize(
    ("contract", "place"),
    [
        (_nested({"type": "quaternion"}), "200.rows[].odd: type quaternion"),
        (_nested({"type": "string", "format": "byte"}), "200.rows[].odd: type string"),
        (_nested({"type": "integer", "format": "unix"}), "200.rows[].odd: type integer"),
        (_nested({}), "200.rows[].odd: type None"),
        (_nested({"type": "object"}), "200.rows[].odd: type object"),
        (_nested({"type": "array"}), "200.rows[].odd: type array"),
        (_nested({"allOf": [DECIMAL]}), "200.rows[].odd: type None"),
        (_nested({"type": ["string", "integer"]}), "200.rows[].odd: type string"),
        (_nested({"$ref": "#/components/schemas/Nothing"}), "KeyError('Nothing')"),
        (_nested({"type": "integer", "enum": [1, 3]}), "200.rows[].odd: type integer"),
        (_parameter(**{"in": "header"}), "parameter odd: it must be a value in the query"),
        (_parameter(schema={"type": "array", "items": TEXT}), "odd: a list must be of strings"),
        (_parameter(schema={**TEXT, "format": "date-time"}), "odd: date-time cannot be expressed"),
        (_parameter(schema={**TEXT, "maxLength": 3}), "maxLength cannot be"),
        (_parameter(schema={**DECIMAL, "minimum": 1}), "minimum cannot be expressed"),
        (_changed(operationId="getNewer"), "operationId getNewer is not in snake_case"),
        (_changed(**{"x-request-weight": 99_999}), "a budget needs a weight header"),
        (_changed(parameters=[]), "a signed operation needs the parameter timestamp"),
        (_changed(tags={"$ref": "#/components/a/b"}), "#/components/a/b does not exist"),
        (_changed(externalDocs={}), "KeyError('url')"),
        (_fields(assetName=TEXT, asset_name=TEXT), "two names become asset_name; use x-pub"),
        (_loop(), "Loop contains itself"),
    ],
)
def test_what_cannot_be_expressed_is_one_line_with_its_place(
    generator: Any, contract: Any, place: str, tmp_path: Path
) -> None:
    with pytest.raises(generator.Inexpressible) as caught:
        generator.generate(_written(contract, tmp_path), tmp_path / "newer_api")
    assert "GET /sapi/v1/newer" in str(caught.value)
    assert place in str(caught.value)
    assert not (tmp_path / "newer_api").exists()


def test_the_program_stops_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _written(_nested({"type": "quaternion"}), tmp_path)
    script = str(ROOT / "generated/generate.py")
    words = [script, "--contract", str(path), "--package", str(tmp_path / "api")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(script, run_name="__main__")
    said = str(caught.value.code)
    assert said.startswith(f"{path}: GET /sapi/v1/newer 200.rows[].odd: type quaternion")
    assert "\n" not in said


def test_the_package_is_what_the_contract_makes_and_no_old_file_stays(
    generator: Any, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    (package / "models").mkdir(parents=True)
    (package / "models/stale.py").write_text("")
    generator.generate(OPENAPI_YAML, package)
    assert differences(PACKAGE, package) == [], "Run `make generate`."
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_numbers_of_the_contract_stay_exact() -> None:
    written = json.loads((PACKAGE / "openapi.json").read_text("utf-8"), parse_float=str)
    assert written.pop("x-generated")
    assert written == json.loads(json.dumps(today(), default=str))
