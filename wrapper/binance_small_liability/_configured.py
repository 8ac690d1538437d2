"""What both clients share: how they are configured."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypedDict, TypeVar, Unpack, cast

import httpx
from binance_small_liability_api import Client as WireClient

from ._auth import BinanceAuth
from ._clock import Clock
from ._config import (
    BASE_URL,
    MAX_ATTEMPTS,
    MAX_RETRY_WAIT,
    RECV_WINDOW,
    TIMEOUT,
    Config,
    check_recv_window,
)
from ._errors import ConfigurationError
from ._redaction import Hidden
from ._retry import RetryDetails
from ._secrets import VARIABLES, Secrets

if TYPE_CHECKING:
    from ._session import AsyncSession, Session

SessionT = TypeVar("SessionT", "Session", "AsyncSession")


class Options(TypedDict, total=False):
    base_url: str
    recv_window: int
    timeout: float
    max_attempts: int
    max_retry_wait: float
    on_retry: Callable[[RetryDetails], object] | None
    transport: Any
    proxy: Any


class ConfiguredClient(ABC, Generic[SessionT]):
    """A client that knows where to send and how to sign."""

    _session: SessionT

    def __init__(
        self,
        *,
        api_key: str | None = None,
        api_secret: str | None = None,
        private_key: str | bytes | PathLike[str] | None = None,
        private_key_password: str | bytes | None = None,
        base_url: str = BASE_URL,
        recv_window: int = RECV_WINDOW,
        timeout: float = TIMEOUT,
        max_attempts: int = MAX_ATTEMPTS,
        max_retry_wait: float = MAX_RETRY_WAIT,
        on_retry: Callable[[RetryDetails], object] | None = None,
        transport: Any = None,
        proxy: str | httpx.Proxy | None = None,
    ) -> None:
        """Checks the configuration; sends nothing. Raises ConfigurationError.

        Args:
            api_key: from Binance's API management, with permission to read.
            api_secret: the secret of an HMAC key.
            private_key: instead of the secret, the private half of an RSA or Ed25519 key: PEM text,
                bytes, or the path of a file. Needs the extra `asymmetric`.
            private_key_password: what decrypts the private key, if it is encrypted.
            base_url: where to send, by default to https://api.binance.com; plain http only to a
                loopback address.
            recv_window: for how many milliseconds a request stays valid, 1 to 60000; 5000 by
                default.
            timeout: seconds, 10 by default, for each of: waiting for a connection, connecting,
                sending, and the answer as a whole.
            max_attempts: how often a request is tried at most, 3 by default; 1 switches retries,
                and all waiting for limits, off.
            max_retry_wait: how many seconds it may wait for one retry, 60 by default.
            on_retry: told before each retry, for services that count them.
            transport: any httpx transport, instead of a network connection.
            proxy: URL of a proxy. Proxies named in the environment are not used.
        """
        secrets = Secrets(
            Hidden(api_key), Hidden(api_secret), Hidden(private_key), Hidden(private_key_password)
        )
        hidden_proxy = Hidden(proxy)
        # Tracebacks may print the local variables of this frame.
        del api_key, api_secret, private_key, private_key_password, proxy
        self._open(
            secrets,
            Config(
                base_url=base_url,
                recv_window=recv_window,
                timeout=timeout,
                max_attempts=max_attempts,
                max_retry_wait=max_retry_wait,
                on_retry=on_retry,
                transport=transport,
                proxy=hidden_proxy,
            ),
        )

    @classmethod
    def from_env(cls, **options: Unpack[Options]) -> Self:
        """A client with the credentials, and the base URL if it is set, of the environment.

        Reads `BINANCE_API_KEY`, `BINANCE_API_SECRET` or `BINANCE_PRIVATE_KEY_FILE` (with
        `BINANCE_PRIVATE_KEY_PASSWORD`), and `BINANCE_BASE_URL`; `options` are those of the
        constructor and go before. Raises ConfigurationError, which names the variable.
        """
        for name in options.keys() - Options.__annotations__.keys():
            # It may be a secret, which no frame of the error may hold.
            cast(dict[str, Any], options).clear()
            instead = f"; set {VARIABLES[name]}" if name in VARIABLES else ""
            raise ConfigurationError(name, f"is no option of from_env{instead}")
        base_url = os.environ.get(VARIABLES["base_url"], BASE_URL)
        settings: dict[str, Any] = {"base_url": base_url, **options}
        settings["proxy"] = Hidden(options.pop("proxy", None))
        client = cls.__new__(cls)
        try:
            client._open(Secrets.from_env(), Config(**settings))
        except ConfigurationError as error:
            given = error.option in options
            option = error.option if given else VARIABLES.get(error.option, error.option)
            raise ConfigurationError(option, error.problem) from None
        return client

    def _open(self, secrets: Secrets, config: Config) -> None:
        api_key, key = secrets.read()
        self._config = config
        self._clock = Clock()
        self._wire_client = WireClient(base_url=config.base_url)
        self._connect(config, BinanceAuth(api_key, key, self._clock))

    @abstractmethod
    def _connect(self, config: Config, auth: BinanceAuth) -> None:
        """Opens a session, and has the wire client use it."""

    def _arguments(self, recv_window: int | None) -> dict[str, Any]:
        if recv_window is None:
            recv_window = self._config.recv_window
        return {
            "client": self._wire_client,
            "recv_window": check_recv_window(recv_window),
            # The contract demands one; BinanceAuth puts the moment of sending in its place.
            "timestamp": self._clock.now(),
        }

    @property
    def used_weight(self) -> int | None:
        """The request weight that this IP address had used in the minute of the last answer.

        From its `X-SAPI-USED-IP-WEIGHT-1M`; None before the first one. The limit is 12000.
        """
        return self._session.limits.used_weight

    def __repr__(self) -> str:
        # Tracebacks show clients whose configuration was refused, too.
        base_url = self._config.base_url if hasattr(self, "_config") else None
        return f"{type(self).__name__}(base_url={base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"A {type(self).__name__} cannot be pickled or copied; make another one.")
