"""Signs what schemathesis generates, so that the fake Binance accepts it."""

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

import schemathesis
from binance_small_liability.operations import ALL, exchange
from binance_small_liability.testing import FakeBinance
from binance_small_liability_api.operation import Operation
from requests import PreparedRequest
from requests.auth import AuthBase

_KEY = FakeBinance().api_key
_SECRET = (FakeBinance().api_secret or "").encode()
_OPERATIONS = {(each.method, each.path): each for each in ALL.values()}
_MOST = exchange.parameters["asset_names"].maximum or 0
_TIMESTAMPS = range(9007199254740991 + 1)
# Almost 1000 ms ahead, so that a recvWindow of 1 ms is valid too.
_AHEAD = 900  # milliseconds


class Signed(AuthBase):
    """Signs a request as it will be sent.

    The contract does not say which valid timestamps Binance accepts, that asset names must be
    distinct, and that texts must not be empty. So a valid timestamp becomes the present, asset
    names become distinct, and an empty text becomes another one.
    """

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        url = urlsplit(str(request.url))
        operation = _OPERATIONS.get((str(request.method), url.path))
        if operation is not None and operation.has_key:
            request.headers["X-MBX-APIKEY"] = _KEY
        if operation is not None and operation.signed:
            pieces = [
                _accepted(piece, operation)
                for piece in url.query.split("&")
                if not _is_signature(piece)
            ]
            request.url = urlunsplit(url._replace(query=_signed("&".join(pieces))))
        return request


def _signed(query: str) -> str:
    return f"{query}&signature={hmac.new(_SECRET, query.encode(), hashlib.sha256).hexdigest()}"


def _is_signature(piece: str) -> bool:
    return piece.partition("=")[0] == "signature"


def _accepted(piece: str, operation: Operation[..., Any]) -> str:
    name, _, value = piece.partition("=")
    if not value and name in _texts(operation):
        return f"{name}=A"
    if name == "timestamp" and value.isdecimal() and int(value) in _TIMESTAMPS:
        return f"timestamp={time.time_ns() // 1_000_000 + _AHEAD}"
    names = unquote_plus(value).split(",")
    if name == "assetNames" and all(names) and len(names) <= _MOST:
        return f"assetNames={quote(','.join(dict.fromkeys(names)))}"
    return piece


def _texts(operation: Operation[..., Any]) -> set[str]:
    return {
        each.name
        for each in operation.parameters.values()
        if each.kind == "string" and not each.pattern and not each.allowed
    }


schemathesis.auth.set_from_requests(Signed())  # type: ignore[attr-defined]  # set at run time
