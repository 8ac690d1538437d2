"""What the methods check before a call."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from binance_small_liability_api.operation import Operation, ParameterError
from binance_small_liability_api.operations import exchange
from binance_small_liability_api.values import milliseconds

from binance_small_liability._errors import ConfigurationError

LONGEST_NAME = 100  # characters
_ASSETS = exchange.parameters["asset_names"]


def checked_assets(assets: Iterable[str]) -> tuple[str, ...]:
    """The names of the assets to exchange. Raises ConfigurationError."""
    if isinstance(assets, str | bytes) or not isinstance(assets, Iterable):
        raise ConfigurationError("assets", 'must be a list of names, such as ["BTC", "ETH"]')
    names = tuple(assets)
    least, most = _ASSETS.minimum or 0, _ASSETS.maximum or len(names)
    if not least <= len(names) <= most:
        raise ConfigurationError("assets", f"must have {least} to {most} names, not {len(names)}")
    for name in names:
        if not isinstance(name, str):
            kind = type(name).__name__
            raise ConfigurationError("assets", f"must be names, such as coin.asset, not {kind}")
        if not name.strip():
            raise ConfigurationError("assets", "must be names that are not blank")
        if len(name) > LONGEST_NAME:
            raise ConfigurationError("assets", f"has a name of over {LONGEST_NAME} characters")
        if "," in name or name != name.strip() or not name.isprintable():
            raise ConfigurationError(
                "assets", f"holds {name!r}; remove commas, control characters and spaces around it"
            )
    if len(set(names)) < len(names):
        raise ConfigurationError("assets", "contains a name twice; remove the duplicate")
    return names


def checked_query(
    operation: Operation[..., Any], parameters: Mapping[str, object]
) -> dict[str, str]:
    """The parameters as they are sent. Raises ConfigurationError."""
    try:
        return operation.query(parameters)
    except ParameterError as error:
        name, problem = error.parameter, error.problem
    raise ConfigurationError(name, problem)


def checked_time(option: str, moment: datetime) -> int:
    """An aware datetime in milliseconds. Raises ConfigurationError."""
    try:
        return milliseconds(moment)
    except ValueError:
        problem = "must be an aware datetime, such as datetime(2026, 1, 1, tzinfo=UTC)"
    raise ConfigurationError(option, problem)
