"""Credentials, checked before anything is sent."""

import re
from typing import NamedTuple

from binance_small_liability._config import QUOTES_PROBLEM, has_quotes
from binance_small_liability._errors import ConfigurationError
from binance_small_liability._secrets import Hidden, without_frames

from .keys import AsymmetricKey, HmacKey
from .signing import Signer

_CREATE = "create one in Binance's API management"
_REAL_TOKEN = re.compile("[A-Za-z0-9]{64}")
# Those of mock servers contain more than letters and digits.
_TOKEN = re.compile("[A-Za-z0-9._~+/=-]*")
# Texts of examples and templates, and variables that no shell has replaced.
# Not compiled at import, because only unusual keys need it.
_PLACEHOLDER = (
    r"<.*>|\[.*\]|\{.*\}|\$.*|%.*%|x{3,}|[*._?-]+|.*\.\.\."
    r"|(.*[\W_])?your.*|.*[\W_]here|.*change[ _-]?me.*|.*placeholder.*|to[ _-]?do"
    r"|BINANCE_API_(KEY|SECRET)"
)


class Credentials(NamedTuple):
    """Credentials that are not checked yet."""

    api_key: Hidden
    api_secret: Hidden
    private_key: Hidden
    private_key_password: Hidden

    def signer(self) -> Signer:
        """Checks them. Raises ConfigurationError."""
        _check_token("api_key", self.api_key)
        if self.private_key.reveal() is None:
            if self.private_key_password.reveal() is not None:
                raise ConfigurationError(
                    "private_key_password", "was given without a private key; remove it"
                )
            if self.api_secret.reveal() is None:
                raise ConfigurationError("api_secret", f"or private_key is missing; {_CREATE}")
            _check_token("api_secret", self.api_secret)
            return Signer(self.api_key, HmacKey(self.api_secret))
        if self.api_secret.reveal() is not None:
            raise ConfigurationError("private_key", "cannot be combined with api_secret; give one")
        key = AsymmetricKey(self.private_key, self.private_key_password)
        return Signer(self.api_key, key)


def _check_token(option: str, token: Hidden) -> None:
    # Raised here, because no local variable of this frame holds the value.
    if problem := without_frames(lambda: _problem(token)):
        raise ConfigurationError(option, problem)


def _problem(token: Hidden) -> str | None:
    value = token.reveal()
    if value is None:
        return f"is missing; {_CREATE}"
    if not isinstance(value, str):
        return "must be a string"
    if not value.strip():
        return f"is blank; {_CREATE}"
    if has_quotes(value):
        return QUOTES_PROBLEM
    if not _REAL_TOKEN.fullmatch(value) and re.fullmatch(_PLACEHOLDER, value, re.IGNORECASE):
        return f"is a placeholder; replace it: {_CREATE}"
    if not all("!" <= character <= "~" for character in value):
        return "contains a space, a line break or a character outside ASCII; copy it again"
    if not _TOKEN.fullmatch(value):
        return "contains a character that no key has; copy it again"
    return None
