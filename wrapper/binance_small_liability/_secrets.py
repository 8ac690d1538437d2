"""What a caller hands over to sign with."""

import os
from pathlib import Path
from typing import NamedTuple

from ._errors import ConfigurationError
from ._keys import AsymmetricKey, HmacKey, Key
from ._redaction import Hidden

# The variable of the environment from which each option is read.
VARIABLES = {
    "api_key": "BINANCE_API_KEY",
    "api_secret": "BINANCE_API_SECRET",
    "private_key": "BINANCE_PRIVATE_KEY_FILE",
    "private_key_password": "BINANCE_PRIVATE_KEY_PASSWORD",
    "base_url": "BINANCE_BASE_URL",
}

_CREATE = "create one in Binance's API management"


class Secrets(NamedTuple):
    """Secrets that nobody has looked at yet."""

    api_key: Hidden
    api_secret: Hidden
    private_key: Hidden
    private_key_password: Hidden

    @classmethod
    def from_env(cls) -> "Secrets":
        """The secrets in the environment."""
        # One that is empty counts as not set.
        variables = [VARIABLES[name] for name in cls._fields]
        values = [Hidden(os.environ.get(variable) or None) for variable in variables]
        api_key, api_secret, file, password = values
        private_key = Hidden(None if file.reveal() is None else Path(file.reveal()))
        return cls(api_key, api_secret, private_key, password)

    def read(self) -> tuple[Hidden, Key]:
        """The API key, and the key that signs. Raises ConfigurationError."""
        _check_token("api_key", self.api_key)
        if self.private_key.reveal() is None:
            if self.private_key_password.reveal() is not None:
                raise ConfigurationError(
                    "private_key_password", "was given without a private key; remove it"
                )
            _check_token("api_secret", self.api_secret)
            return self.api_key, HmacKey(self.api_secret)
        if self.api_secret.reveal() is not None:
            raise ConfigurationError("private_key", "cannot be combined with a secret; give one")
        return self.api_key, AsymmetricKey(self.private_key, self.private_key_password)


def _check_token(option: str, token: Hidden) -> None:
    # Raised from here, where no local variable holds the value.
    if problem := _problem(token):
        raise ConfigurationError(option, problem)


def _problem(token: Hidden) -> str | None:
    value = token.reveal()
    if value is None:
        return f"is missing; {_CREATE}"
    if not isinstance(value, str):
        return "must be a string"
    if not value.strip():
        return f"is blank; {_CREATE}"
    if not all("!" <= character <= "~" for character in value):
        return "holds a space, a line break or a character outside ASCII; copy it again"
    return None
