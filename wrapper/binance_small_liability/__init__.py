"""A typed client for Binance's small-liability endpoints.

For pytest: PYTEST_DONT_REWRITE, because it would warn if this package is imported already.
"""

from binance_small_liability_api.records import Coin, Exchange

from . import operations
from ._call.details import BudgetDetails, RetryDetails, WaitDetails
from ._client import AsyncSmallLiabilityClient, SmallLiabilityClient
from ._errors import (
    ApiError,
    AuthenticationError,
    ClockSkewError,
    ConfigurationError,
    ContractError,
    FirewallError,
    IpBanError,
    NetworkError,
    OutcomeUnknownError,
    RateLimitError,
    Receipt,
    RequestTimeout,
    ServerError,
    SmallLiabilityError,
)
from ._io.version import __version__

__all__ = [
    "ApiError",
    "AsyncSmallLiabilityClient",
    "AuthenticationError",
    "BudgetDetails",
    "ClockSkewError",
    "Coin",
    "ConfigurationError",
    "ContractError",
    "Exchange",
    "FirewallError",
    "IpBanError",
    "NetworkError",
    "OutcomeUnknownError",
    "RateLimitError",
    "Receipt",
    "RequestTimeout",
    "RetryDetails",
    "ServerError",
    "SmallLiabilityClient",
    "SmallLiabilityError",
    "WaitDetails",
    "__version__",
    "operations",
]
