"""Binance's published test keys and signatures, and the verification of what was sent."""

import base64
import hashlib
import hmac
import json
from functools import cache
from textwrap import wrap
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.wire import Request
from tools.contract import ROOT

_FILE = json.loads((ROOT / "tests/signing-vectors.json").read_text("utf-8"))
# Kind of key, payload, signature.
VECTORS = [(each["kind"], each["payload"], each["signature"]) for each in _FILE["vectors"]]
_PEM = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"
# The secret, or the private key in PEM.
KEYS: dict[str, str] = {
    kind: key if kind == "HMAC" else _PEM.format("\n".join(wrap(key, 64)))
    for kind, key in _FILE["keys"].items()
}


@cache
def private_key(kind: str) -> Any:
    return load_pem_private_key(KEYS[kind].encode(), None)


def credentials(kind: str) -> dict[str, Any]:
    """The options of a client with a key of this kind."""
    option = "api_secret" if kind == "HMAC" else "private_key"
    return {"api_secret": None, option: KEYS[kind]}


def sign(kind: str, payload: bytes) -> bytes:
    """A raw signature, made without the client's code."""
    if kind == "HMAC":
        return hmac.digest(KEYS[kind].encode(), payload, hashlib.sha256)
    if kind == "RSA":
        return bytes(private_key(kind).sign(payload, padding.PKCS1v15(), hashes.SHA256()))
    return bytes(private_key(kind).sign(payload))


def assert_signed(request: Request, kind: str = "HMAC") -> None:
    """The last parameter is the signature of the bytes that were sent before it."""
    payload, _, signature = request.target.partition("?")[2].rpartition("&signature=")
    raw = sign(kind, payload.encode())
    # Both asymmetric kinds are deterministic.
    expected = raw.hex() if kind == "HMAC" else base64.b64encode(raw).decode()
    assert unquote(signature) == expected, "the signature does not match the bytes that were sent"
    assert set(signature).isdisjoint("+/="), "base64 must be percent-encoded"
