# Generated from openapi.yaml by `make generate`. Do not edit.

from ..operation import Parameter, operation
from ..records import Coin
from ..values import array


@operation(
    method="GET",
    path="/sapi/v1/margin/exchange-small-liability",
    parameters={
        "recv_window": Parameter(
            name="recvWindow",
            kind="integer",
            required=False,
            default=5000,
            minimum=1,
            maximum=60000,
        ),
    },
    read=array(Coin.from_dict),
    record=Coin,
    has_key=True,
    signed=True,
    weight=100,
    limiter="IP",
    weight_per_minute=12000,
    weight_header="X-SAPI-USED-IP-WEIGHT-1M",
)
def list_coins(
    *,
    recv_window: int | None = None,
) -> None:
    """Get Small Liability Exchange Coin List.

    Lists the coins whose debts are small enough to be exchanged. The list is empty if there are
    none.

    Request weight: 100 of 12000 per minute and IP.
    Source: https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-Coin-List

    Args:
        recv_window: The milliseconds after `timestamp` for which the request stays valid. A
            larger value than the maximum is refused with -1131. At least 1 and at most 60000;
            5000 by default.
    """
