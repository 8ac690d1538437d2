# Generated from openapi.yaml by `make generate`. Do not edit.
from datetime import datetime

from ..operation import Parameter, operation
from ..records import ExchangePage


@operation(
    method="GET",
    path="/sapi/v1/margin/exchange-small-liability-history",
    parameters={
        "current": Parameter(
            name="current",
            kind="integer",
            required=True,
            default=1,
            minimum=1,
            maximum=2147483647,
        ),
        "size": Parameter(
            name="size",
            kind="integer",
            required=True,
            default=10,
            minimum=1,
            maximum=100,
        ),
        "start_time": Parameter(
            name="startTime",
            kind="time",
            required=False,
            minimum=0,
            maximum=9007199254740991,
        ),
        "end_time": Parameter(
            name="endTime",
            kind="time",
            required=False,
            minimum=0,
            maximum=9007199254740991,
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
    read=ExchangePage.from_dict,
    record=ExchangePage,
    has_key=True,
    signed=True,
    weight=100,
    limiter="UID",
    weight_per_minute=180000,
    weight_header="X-SAPI-USED-UID-WEIGHT-1M",
)
def list_exchanges(
    *,
    current: int,
    size: int,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    recv_window: int | None = None,
) -> None:
    """Get Small Liability Exchange History.

    Lists past exchanges, page by page. Pages shift between requests unless `end_time` is fixed.

    Request weight: 100 of 180000 per minute and UID.
    Source: https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-History

    Args:
        current: Number of the page, from 1. At least 1 and at most 2147483647; 1 by default.
        size: The largest number of rows of a page. At least 1 and at most 100; 10 by default.
        start_time: The earliest time of an exchange. By default 30 days before now.
        end_time: The latest time of an exchange. By default now.
        recv_window: The milliseconds after `timestamp` for which the request stays valid. A
            larger value than the maximum is refused with -1131. At least 1 and at most 60000;
            5000 by default.
    """
