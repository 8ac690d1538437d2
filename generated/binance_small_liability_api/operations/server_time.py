# Generated from openapi.yaml by `make generate`. Do not edit.

from ..operation import operation
from ..records import ServerTime


@operation(
    method="GET",
    path="/api/v3/time",
    parameters={},
    read=ServerTime.from_dict,
    record=ServerTime,
    has_key=False,
    signed=False,
    weight=1,
    limiter="IP",
    weight_per_minute=None,
    weight_header=None,
)
def server_time() -> None:
    """Check Server Time.

    Returns Binance's time. Every signed timestamp is compared with this clock.

    Request weight: 1 per minute and IP.
    Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints
    """
