# Generated from openapi.yaml by `make generate`. Do not edit.
"""A client library for accessing Binance small liability exchange

PYTEST_DONT_REWRITE
"""

from .client import AuthenticatedClient, Client

__all__ = (
    "AuthenticatedClient",
    "Client",
)
