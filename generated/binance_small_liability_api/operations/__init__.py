# Generated from openapi.yaml by `make generate`. Do not edit.
"""The operations of the contract."""

from typing import Any

from ..operation import Operation
from .exchange import exchange as exchange
from .list_coins import list_coins as list_coins
from .list_exchanges import list_exchanges as list_exchanges
from .server_time import server_time as server_time

ALL: dict[str, Operation[..., Any]] = {
    each.name: each
    for each in (
        list_coins,
        exchange,
        list_exchanges,
        server_time,
    )
}
