"""The operations of the contract, for `client.call`. They are generated."""

from binance_small_liability_api.operations import *  # noqa: F403 - all of them are public
