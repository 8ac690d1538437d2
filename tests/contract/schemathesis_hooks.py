"""Signs what schemathesis generates, so that the fake Binance accepts it."""

import hashlib
import hmac
import time
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

import schemathesis
from binance_small_liability.operations import ALL, exchange
from binance_small_liability.testing import FakeBinance
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

    The contract says neither which valid timestamps Binance accepts nor that asset names must be
    distinct. So a valid timestamp becomes the present, and asset names become distinct.
    """

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        url = urlsplit(str(request.url))
        operation = _OPERATIONS.get((str(request.method), url.path))
        if operation is not None and operation.has_key:
            request.headers["X-MBX-APIKEY"] = _KEY
        if operation is not None and operation.signed:
            pieces = [
                _accepted(piece) for piece in url.query.split("&") if not _is_signature(piece)
            ]
            request.url = urlunsplit(url._replace(query=_signed("&".join(pieces))))
        return request


def _signed(query: str) -> str:
    return f"{query}&signature={hmac.new(_SECRET, query.encode(), hashlib.sha256).hexdigest()}"


def _is_signature(piece: str) -> bool:
    return piece.partition("=")[0] == "signature"


def _accepted(piece: str) -> str:
    name, _, value = piece.partition("=")
    if name == "timestamp" and value.isdecimal() and int(value) in _TIMESTAMPS:
        return f"timestamp={time.time_ns() // 1_000_000 + _AHEAD}"
    names = unquote_plus(value).split(",")
    if name == "assetNames" and all(names) and len(names) <= _MOST:
        return f"assetNames={quote(','.join(dict.fromkeys(names)))}"
    return piece


schemathesis.auth.set_from_requests(Signed())  # type: ignore[attr-defined]  # set at run time
