"""What Binance checks in a request, and in which order.

`CHECKS` at the end lists them: each line has one of Binance's error codes and a check, and the
first check that is true decides. Binance does not document its order. The order here is
key, parameters, time, signature. No code of the client is used, so that fake and
client can disagree.

Source: "Endpoint security" on https://developers.binance.com/docs/margin_trading/general-info and
https://developers.binance.com/docs/margin_trading/error-code
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

import attrs
from binance_small_liability_api import operations
from binance_small_liability_api.values import LATEST, moment

from ._contract import Contract, Operation

# How far ahead of Binance's clock a timestamp may be, in milliseconds.
MAX_AHEAD = 1000

_WELL_FORMED_KEY = re.compile("[A-Za-z0-9]{64}")
# What RFC 3986 allows in a query; all else must be percent-encoded.
_ENCODED_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
# How a number, a boolean and a time are written.
_WRITTEN = {
    "integer": re.compile("[0-9]{1,20}"),
    "number": re.compile(r"-?[0-9]+(\.[0-9]+)?"),
    "boolean": re.compile("true|false"),
}
_TYPED: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "number": Decimal,
    "boolean": lambda text: text == "true",
    "string": str,
    "array": lambda text: text.split(","),
}
_WINDOW = "recvWindow"
DEFAULT_WINDOW = operations.list_coins.parameters["recv_window"].default


@attrs.frozen(slots=False)
class CheckedRequest:
    """A request, and what Binance needs to check it."""

    contract: Contract
    operation: Operation
    query: str  # exactly as it was sent
    key: str | None  # as it was sent; None if the header is missing
    known_key: str
    verify: Callable[[bytes, str], bool]
    now: int  # Binance's clock, in milliseconds

    @cached_property
    def pieces(self) -> list[str]:
        return self.query.split("&") if self.query else []

    @cached_property
    def names(self) -> list[str]:
        return [unquote_plus(piece.partition("=")[0]) for piece in self.pieces]

    @cached_property
    def values(self) -> dict[str, str]:
        pairs = (piece.partition("=") for piece in self.pieces)
        return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}

    @cached_property
    def known_names(self) -> set[str]:
        added = {self.contract.signature_name} if self.operation.signed else set()
        return {*self.operation.parameters, *added}

    @cached_property
    def schemas(self) -> dict[str, Any]:
        return self.operation.schemas

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The sent parameters, typed, and the defaults of the others."""
        defaults = {
            name: schema["default"] for name, schema in self.schemas.items() if "default" in schema
        }
        sent = {
            name: _TYPED[schema["type"]](self.values[name])
            for name, schema in self.schemas.items()
            if name in self.values
        }
        return defaults | sent

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The parameters by their Python names, without those that only the checks need."""
        known = getattr(operations, self.operation.id).parameters
        return {
            name: moment(min(value, LATEST)) if parameter.kind == "time" else value
            for name, parameter in known.items()
            if parameter.name != _WINDOW
            and (value := self.parameters.get(parameter.name)) is not None
        }


def key_is_malformed(request: CheckedRequest) -> bool:
    key = request.key or ""
    return (
        request.operation.has_key
        and key != request.known_key
        and not _WELL_FORMED_KEY.fullmatch(key)
    )


def key_is_unknown(request: CheckedRequest) -> bool:
    return request.operation.has_key and request.key != request.known_key


def query_is_not_percent_encoded(request: CheckedRequest) -> bool:
    return not _ENCODED_QUERY.fullmatch(request.query)


def piece_is_unreadable(request: CheckedRequest) -> bool:
    return any("=" not in piece or piece.startswith("=") for piece in request.pieces)


def parameter_is_not_needed(request: CheckedRequest) -> bool:
    elsewhere = request.contract.parameter_names - request.known_names
    return not request.operation.signed and not elsewhere.isdisjoint(request.names)


def public_name_is_unknown(request: CheckedRequest) -> bool:
    return not request.operation.signed and not request.known_names >= set(request.names)


def name_is_unknown(request: CheckedRequest) -> bool:
    # Letter case counts: recvwindow is not recvWindow.
    return not request.known_names >= set(request.names)


def name_is_repeated(request: CheckedRequest) -> bool:
    return len(set(request.names)) < len(request.names)


def mandatory_is_missing(request: CheckedRequest) -> bool:
    parameters = request.operation.parameters.items()
    mandatory = {name for name, parameter in parameters if parameter.get("required")}
    if request.operation.signed:
        mandatory.add(request.contract.signature_name)
    return not mandatory <= set(request.names)


def value_is_empty(request: CheckedRequest) -> bool:
    return "" in request.values.values()


def number_has_other_characters(request: CheckedRequest) -> bool:
    return not all(
        _WRITTEN[schema["type"]].fullmatch(request.values[name])
        for name, schema in request.schemas.items()
        if name in request.values and schema["type"] in _WRITTEN
    )


def recv_window_is_too_large(request: CheckedRequest) -> bool:
    sent = request.parameters.get(_WINDOW)
    return sent is not None and bool(sent > request.schemas[_WINDOW].get("maximum", sent))


def value_is_outside_its_schema(request: CheckedRequest) -> bool:
    return not all(
        _fits(value, request.schemas[name]) for name, value in request.parameters.items()
    )


def timestamp_is_outside(request: CheckedRequest) -> bool:
    if not request.operation.signed:
        return False
    timestamp = request.parameters["timestamp"]
    window = request.parameters.get(_WINDOW, DEFAULT_WINDOW)
    return not (timestamp < request.now + MAX_AHEAD and request.now - timestamp <= window)


def signature_is_wrong(request: CheckedRequest) -> bool:
    if not request.operation.signed:
        return False
    # Everything before the signature is signed, so it must be the last parameter.
    payload, _, signature = request.query.rpartition(f"&{request.contract.signature_name}=")
    return not request.verify(payload.encode("ascii"), signature)


def _fits(value: Any, schema: Any) -> bool:
    if value not in schema.get("enum", [value]):
        return False
    if schema["type"] in ("integer", "number"):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    if schema["type"] == "boolean":
        return True
    length = len(value)
    if schema["type"] == "array":
        fits = schema.get("minItems", length) <= length <= schema.get("maxItems", length)
        return bool(fits and all(_fits(item, schema["items"]) for item in value))
    return (
        schema.get("minLength", length) <= length <= schema.get("maxLength", length)
        and re.search(schema.get("pattern", ""), value) is not None
    )


CHECKS: list[tuple[int, Callable[[CheckedRequest], bool]]] = [
    (-2014, key_is_malformed),
    (-2015, key_is_unknown),
    (-1106, parameter_is_not_needed),
    (-1101, public_name_is_unknown),
    (-1022, query_is_not_percent_encoded),
    (-1104, piece_is_unreadable),
    (-1103, name_is_unknown),
    (-1101, name_is_repeated),
    (-1102, mandatory_is_missing),
    (-1105, value_is_empty),
    (-1100, number_has_other_characters),
    (-1131, recv_window_is_too_large),
    (-1102, value_is_outside_its_schema),
    (-1021, timestamp_is_outside),
    (-1022, signature_is_wrong),
]


def fault(request: CheckedRequest) -> int | None:
    """The error code for `request`, or None if no check is true."""
    return next((code for code, is_so in CHECKS if is_so(request)), None)
