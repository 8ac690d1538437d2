"""Keys that sign. Only this module uses secrets.

Each kind of key has `sign`, which takes the percent-encoded query string exactly as it will be sent
and returns the signature, percent-encoded too. Source: "SIGNED Endpoint security" on
https://developers.binance.com/docs/margin_trading/general-info
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_NEEDED = 'needs another package: pip install "binance-small-liability[asymmetric]"'
_RSA_BITS = (2048, 4096)
# What looks like a key or secret. An absolute path does not begin like this.
_BASE64 = re.compile(r"[A-Za-z0-9+][A-Za-z0-9+/=\s]{31,}")


class Key(Protocol):
    """Signs query strings."""

    def sign(self, payload: bytes) -> str:
        """The signature of `payload`, percent-encoded."""


class HmacKey:
    """HMAC SHA-256, written in hexadecimal."""

    __slots__ = ("_mac",)

    def __init__(self, secret: Hidden) -> None:
        # A keyed digest to copy, so that no attribute holds the secret.
        self._mac = hmac.new(secret.reveal().encode(), digestmod=hashlib.sha256)

    def sign(self, payload: bytes) -> str:
        """The signature of `payload`: 64 hexadecimal digits."""
        mac = self._mac.copy()
        mac.update(payload)
        return mac.hexdigest()


class AsymmetricKey:
    """RSA (PKCS#1 v1.5 with SHA-256) or Ed25519, written in base64 and percent-encoded."""

    __slots__ = ("_sign",)

    def __init__(self, pem: Hidden, password: Hidden) -> None:
        """Reads a private key. Raises ConfigurationError.

        Args:
            pem: its text, its bytes, or the path of the file that holds it.
            password: the text or bytes that decrypt it, or None.
        """
        if not isinstance(password.reveal(), (str, bytes, NoneType)):
            raise ConfigurationError("private_key_password", "must be text or bytes")
        self._sign = _signer(_load(_pem_bytes(pem), password))

    def sign(self, payload: bytes) -> str:
        """The signature of `payload`."""
        return quote(base64.b64encode(self._sign(payload)), safe="")


def _pem_bytes(pem: Hidden) -> Hidden:
    if isinstance(pem.reveal(), PathLike):
        content = _content(pem)
    elif isinstance(pem.reveal(), (str, bytes)):
        content = Hidden(_to_bytes(pem))
    else:
        raise ConfigurationError("private_key", "must be PEM text, bytes or the path of a file")
    # Environment files often hold a key in one line. PEM itself has no backslashes.
    return Hidden(content.reveal().replace(b"\\r", b"").replace(b"\\n", b"\n"))


def _content(file: Hidden) -> Hidden:
    try:
        return Hidden(Path(file.reveal()).read_bytes())
    except OSError as error:
        problem = f"cannot be read: {error.strerror}: {_shown(file)}"
    except (ValueError, TypeError):
        problem = "is not a path"
    # Raised outside the handlers, because the failure's frames and arguments may hold the key.
    raise ConfigurationError("private_key", problem)


def _shown(file: Hidden) -> str:
    """The path, unless it looks like the key itself."""
    name = str(Path(file.reveal()))
    is_key = "-----BEGIN" in name or _BASE64.fullmatch(name)
    return "it looks like the key itself; give the path of a file" if is_key else repr(name)


def _to_bytes(hidden: Hidden) -> bytes | None:
    value = hidden.reveal()
    return value.encode(errors="replace") if isinstance(value, str) else value


def _load(pem: Hidden, password: Hidden) -> "PrivateKeyTypes":
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise ConfigurationError("private_key", _NEEDED) from None
    try:
        return load_pem_private_key(pem.reveal(), _to_bytes(password))
    except TypeError:
        # Types were checked before. Either an encrypted key has no password, or a key that is not
        # encrypted has one.
        encrypted = b"ENCRYPTED" in pem.reveal()
        problem = "is missing" if encrypted else "was given for a key that is not encrypted"
        option = "private_key_password"
    except (ValueError, UnsupportedAlgorithm):
        option, problem = _why_not(pem, password)
    # Raised outside the handlers, because the failure's frames hold the key and the password.
    raise ConfigurationError(option, problem)


def _why_not(pem: Hidden, password: Hidden) -> tuple[str, str]:
    text: bytes = pem.reveal()
    if b"PUBLIC KEY-----" in text:
        return "private_key", "is a public key; the private one is needed to sign"
    if b"-----BEGIN" not in text:
        return "private_key", "is not PEM; give the text of the file, or its path as a pathlib.Path"
    if b"-----BEGIN OPENSSH" in text:
        return "private_key", "is in OpenSSH's format; PKCS#8 is needed, from openssl genpkey"
    if password.reveal() is not None:
        return "private_key_password", "does not decrypt the private key"
    return "private_key", "is not a private key in PEM (PKCS#8)"


def _signer(key: "PrivateKeyTypes") -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, Ed25519PrivateKey):
        return key.sign
    if isinstance(key, RSAPrivateKey) and key.key_size in _RSA_BITS:
        rsa_key = key
        return lambda payload: rsa_key.sign(payload, PKCS1v15(), SHA256())
    raise ConfigurationError("private_key", "must be Ed25519, or RSA of 2048 or 4096 bits")
