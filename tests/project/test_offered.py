"""Every signed operation of the contract has a method, a command, a handler and a row."""

import pytest
from binance_small_liability import AsyncSmallLiabilityClient, SmallLiabilityClient
from binance_small_liability.cli.commands import COMMANDS
from binance_small_liability.testing._handlers import HANDLERS

from tools.contract import definition_of, operations, today
from tools.operations import OPERATIONS

ROWS = {row.operation_id: row for row in OPERATIONS}
SIGNED = [
    definition["operationId"]
    for method, path in operations(today())
    for definition in [definition_of(today(), method, path)]
    if definition["x-security-type"] != "NONE"
]


def test_the_contract_has_signed_operations() -> None:
    assert len(SIGNED) >= 3


@pytest.mark.parametrize("operation_id", SIGNED)
def test_a_signed_operation_has_a_row_two_methods_a_handler_and_a_command(
    operation_id: str,
) -> None:
    assert operation_id in ROWS, "add it to tools/operations.py"
    name = ROWS[operation_id].name
    for client in (SmallLiabilityClient, AsyncSmallLiabilityClient):
        assert getattr(client, name).__doc__, f"document {client.__name__}.{name}"
    assert HANDLERS[operation_id].__name__ == name
    assert ROWS[operation_id].command in COMMANDS
