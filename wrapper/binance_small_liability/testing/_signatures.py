"""Verifies signatures without the client's code, so that fake and client can disagree."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from binance_small_liability._errors import ConfigurationError

# Returns whether a signature, as it is written in the query, fits a payload.
Verify = Callable[[bytes, str], bool]

# Base64 uses +, / and =, which must be percent-encoded in a URL.
_ENCODED_BASE64 = re.compile("(?:[A-Za-z0-9]|%2[BbFf]|%3[Dd])+")


def hmac_verifier(secret: str) -> Verify:
    """For HMAC SHA-256 in hexadecimal, of either letter case."""

    def verify(payload: bytes, signature: str) -> bool:
        expected = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.lower().encode())

    return verify


def public_key_verifier(pem: str | bytes) -> Verify:
    """For RSA (PKCS#1 v1.5 with SHA-256) or Ed25519, in percent-encoded base64.

    Raises ConfigurationError if `pem` is not such a public key or `cryptography` is missing.
    """
    check = _check(pem)

    def verify(payload: bytes, signature: str) -> bool:
        from cryptography.exceptions import InvalidSignature

        if not _ENCODED_BASE64.fullmatch(signature):
            return False
        try:
            check(base64.b64decode(unquote(signature), validate=True), payload)
        except (InvalidSignature, binascii.Error):
            return False
        return True

    return verify


def _check(pem: str | bytes) -> Callable[[bytes, bytes], Any]:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise ConfigurationError(
            "public_key", "needs cryptography: install binance-small-liability[asymmetric]"
        ) from None
    try:
        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    except ValueError:
        raise ConfigurationError("public_key", "is not a public key in PEM form") from None
    match key:
        case rsa.RSAPublicKey():
            return lambda signature, payload: key.verify(
                signature, payload, padding.PKCS1v15(), SHA256()
            )
        case ed25519.Ed25519PublicKey():
            return key.verify
        case _:
            raise ConfigurationError("public_key", "must be an RSA or Ed25519 key")
