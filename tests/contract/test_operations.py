"""The client's operations are the contract's."""

from typing import Any

import attrs
import pytest
from binance_small_liability import _operations
from binance_small_liability._call.operation import Operation
from binance_small_liability._records import Coin, Exchange, ExchangePage

from tools.contract import definition_of, today
from tools.operations import OPERATIONS, SERVER_TIME
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
    rules = definition_of(today(), "POST", OPERATIONS[1].path)["x-rules"]
    assert rules["most-coins"] == _operations.MOST_ASSETS


@pytest.mark.parametrize(
    ("record", "schema"),
    [
        (Coin, "SmallLiabilityCoin"),
        (Exchange, "SmallLiabilityExchange"),
        (ExchangePage, "SmallLiabilityExchangePage"),
    ],
)
def test_a_record_has_the_fields_of_the_contract(record: Any, schema: str) -> None:
    definition = today()["components"]["schemas"][schema]
    fields = {
        field.metadata.get("wire_name") or field.name.replace("_", "").lower(): field
        for field in attrs.fields(record)
    }
    documented = {name if name in fields else name.lower() for name in definition["properties"]}
    assert set(fields) == documented, f"Correct {record.__name__} in _records.py"
    required = {name for name, field in fields.items() if field.default is attrs.NOTHING}
    assert required == {name if name in fields else name.lower() for name in definition["required"]}
