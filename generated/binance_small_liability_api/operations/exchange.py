# Generated from openapi.yaml by `make generate`. Do not edit.

from ..operation import Parameter, operation
from ..values import nothing


@operation(
    method="POST",
    path="/sapi/v1/margin/exchange-small-liability",
    parameters={
        "asset_names": Parameter(
            name="assetNames",
            kind="array",
            required=True,
            minimum=1,
            maximum=10,
            pattern="^[^,]+$",
        ),
        "recv_window": Parameter(
            name="recvWindow",
            kind="integer",
            required=False,
            default=5000,
            minimum=1,
            maximum=60000,
        ),
    },
    read=nothing,
    record=None,
    has_key=True,
    signed=True,
    weight=3000,
    limiter="UID",
    weight_per_minute=180000,
    weight_header="X-SAPI-USED-UID-WEIGHT-1M",
)
def exchange(
    *,
    asset_names: list[str],
    recv_window: int | None = None,
) -> None:
    """Small Liability Exchange.

    Exchanges the small debts in the named coins for one debt in a coin that Binance chooses.
    Cross margin only; each debt must be worth less than 10 USDT. The API key needs the
    permission for margin. There is no idempotency key and no transaction id: after a 5xx or a
    lost answer, only the history shows whether the exchange took effect.

    Request weight: 3000 of 180000 per minute and UID.
    Source: https://developers.binance.com/docs/margin_trading/trade/Small-Liability-Exchange

    Args:
        asset_names: The names of the coins to exchange. They are sent as one string, joined by
            commas; the comma is sent and signed as `%2C`. At least 1 and at most 10 items.
        recv_window: The milliseconds after `timestamp` for which the request stays valid. A
            larger value than the maximum is refused with -1131. At least 1 and at most 60000;
            5000 by default.
    """
