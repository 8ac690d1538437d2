"""The client's operations are the contract's."""

from collections.abc import Iterator
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import pytest
from binance_small_liability import _operations
from binance_small_liability._call.operation import Operation
from binance_small_liability._records import wire_name

from tools.contract import answer_of, definition_of, inlined, today
from tools.operations import EXCHANGE, OPERATIONS, SERVER_TIME
from tools.operations import Operation as Row


def _code(row: Row) -> Operation[Any]:
    operation: Operation[Any] = getattr(_operations, row.name.upper())
    return operation


@pytest.mark.parametrize("row", [*OPERATIONS, SERVER_TIME], ids=lambda row: row.name)
def test_weight_limiter_and_budget_are_those_of_the_contract(row: Row) -> None:
    definition = definition_of(today(), row.method, row.path)
    operation = _code(row)
    assert operation.weight == definition["x-request-weight"]
    assert operation.limiter == definition["x-request-weight-by"] == row.limiter
    assert operation.weight_per_minute == definition.get("x-request-weight-per-minute")
    assert operation.signed == (definition["x-security-type"] != "NONE")
    # A request that changes an account is not repeated after a lost answer.
    assert operation.repeatable == (row.method == "GET") == row.repeatable


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.name)
def test_the_weight_is_reported_in_the_header_of_the_contract(row: Row) -> None:
    success = definition_of(today(), row.method, row.path)["responses"]["200"]
    assert list(success["headers"]) == [_code(row).limiter.header]


def test_the_rules_of_an_exchange_are_those_of_the_contract() -> None:
    rules = definition_of(today(), EXCHANGE.method, EXCHANGE.path)["x-rules"]
    assert rules["most-coins"] == _operations.MOST_ASSETS


def _result(row: Row) -> Any:
    """The type of an operation's result, such as `list[Coin]`."""
    [kind] = get_args(get_type_hints(_operations)[row.name.upper()])
    return kind


def _schema(row: Row) -> Any:
    success = answer_of(today(), row.method, row.path, "200")
    return inlined(today(), success["content"]["application/json"]["schema"])


def _records(kind: Any, schema: Any) -> Iterator[tuple[Any, Any]]:
    """The records in a result, each with its schema."""
    if attrs.has(kind):
        yield kind, schema
        for field in attrs.fields(kind):
            inside = schema.get("properties", {}).get(wire_name(field), {})
            yield from _records(field.type, inside)
    # A list, or a field that the contract does not require.
    for each in get_args(kind):
        yield from _records(each, schema.get("items", {}) if get_origin(kind) is list else schema)


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.name)
def test_an_operation_has_a_result_if_the_contract_describes_one(row: Row) -> None:
    assert (_result(row) is NoneType) == (_schema(row) == {})


@pytest.mark.parametrize(
    ("record", "schema"),
    [
        pytest.param(record, schema, id=record.__name__)
        for row in OPERATIONS
        for record, schema in _records(_result(row), _schema(row))
    ],
)
def test_a_record_has_the_fields_of_the_contract(record: Any, schema: Any) -> None:
    fields = {
        field.metadata.get("wire_name") or field.name.replace("_", "").lower(): field
        for field in attrs.fields(record)
    }
    documented = {name if name in fields else name.lower() for name in schema["properties"]}
    assert set(fields) == documented, f"Correct {record.__name__} in _records.py"
    required = {name for name, field in fields.items() if field.default is attrs.NOTHING}
    assert required == {name if name in fields else name.lower() for name in schema["required"]}
