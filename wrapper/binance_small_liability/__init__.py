"""A typed client for Binance's "Get Small Liability Exchange Coin List"."""

from ._client import AsyncSmallLiabilityClient, SmallLiabilityClient
from ._coin import Coin
from ._errors import (
    ApiError,
    AuthenticationError,
    ClockSkewError,
    ConfigurationError,
    ContractError,
    FirewallError,
    IpBanError,
    NetworkError,
    RateLimitError,
    RequestTimeout,
    ServerError,
    SmallLiabilityError,
)
from ._retry import RetryDetails

__all__ = [
    "ApiError",
    "AsyncSmallLiabilityClient",
    "AuthenticationError",
    "ClockSkewError",
    "Coin",
    "ConfigurationError",
    "ContractError",
    "FirewallError",
    "IpBanError",
    "NetworkError",
    "RateLimitError",
    "RequestTimeout",
    "RetryDetails",
    "ServerError",
    "SmallLiabilityClient",
    "SmallLiabilityError",
]
