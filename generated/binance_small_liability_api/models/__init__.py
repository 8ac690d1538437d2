# Generated from openapi.yaml by `make generate`. Do not edit.
"""Contains all the data models used in inputs/outputs"""

from .error import Error
from .limit_error import LimitError
from .limit_error_code import LimitErrorCode
from .server_time import ServerTime
from .small_liability_coin import SmallLiabilityCoin
from .small_liability_exchange import SmallLiabilityExchange
from .small_liability_exchange_page import SmallLiabilityExchangePage

__all__ = (
    "Error",
    "LimitError",
    "LimitErrorCode",
    "ServerTime",
    "SmallLiabilityCoin",
    "SmallLiabilityExchange",
    "SmallLiabilityExchangePage",
)
