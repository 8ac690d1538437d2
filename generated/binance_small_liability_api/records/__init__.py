# Generated from openapi.yaml by `make generate`. Do not edit.
"""The records of the contract."""

from .coin import Coin as Coin
from .exchange import Exchange as Exchange
from .exchange_page import ExchangePage as ExchangePage
from .server_time import ServerTime as ServerTime
