"""The table of operations matches the contract, and its calls work."""

import pytest
from binance_small_liability import SmallLiabilityClient

from tests.conftest import CREDENTIALS
from tools.contract import definition_of, operations, today
from tools.operations import OPERATIONS, SERVER_TIME, Operation


@pytest.mark.parametrize("operation", [*OPERATIONS, SERVER_TIME], ids=lambda each: each.name)
def test_an_operation_is_in_the_contract(operation: Operation) -> None:
    definition = definition_of(today(), operation.method, operation.path)
    assert definition["operationId"] == operation.name
    assert bool(definition["security"]) == operation.generated.has_key


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_a_call_gives_the_documented_answer(operation: Operation, prism_url: str) -> None:
    with SmallLiabilityClient(**CREDENTIALS, base_url=prism_url) as client:
        assert operation.call(client) == operation.documented


def test_every_operation_of_the_contract_is_in_the_table() -> None:
    table = {(each.method, each.path) for each in (*OPERATIONS, SERVER_TIME)}
    assert table == set(operations(today()))
