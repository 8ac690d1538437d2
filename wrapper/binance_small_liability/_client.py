"""The two clients: one short method per endpoint."""

from collections.abc import Callable, Iterable
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypedDict, Unpack, cast

import httpx

from . import _operations as operations
from ._call.call import Caller
from ._call.limits import Limits
from ._call.retry import RetryDetails
from ._config import (
    BASE_URL,
    MAX_ATTEMPTS,
    MAX_RETRY_WAIT,
    RECV_WINDOW,
    TIMEOUT,
    VARIABLES,
    Config,
    Credentials,
    check_recv_window,
    environment,
)
from ._errors import ConfigurationError
from ._history import list_exchanges
from ._records import Coin, Exchange
from ._secrets import Hidden

if TYPE_CHECKING:
    from ._io.messages import Io
    from ._io.tasks import TaskIo
    from ._io.threads import ThreadIo
    from .redis import RedisLimits


class Options(TypedDict, total=False):
    base_url: str
    recv_window: int
    timeout: float
    max_attempts: int
    max_retry_wait: float
    on_retry: Callable[[RetryDetails], object] | None
    transport: Any
    proxy: Any
    limits: "RedisLimits | None"


class ConfiguredClient:
    """What both clients share: their options."""

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
        limits: "RedisLimits | None" = None,
    ) -> None:
        """Checks the options; sends nothing. Raises ConfigurationError.

        Args:
            api_key: from Binance's API management, with permission to read; for `exchange` also
                with permission for margin.
            api_secret: the secret of an HMAC key.
            private_key: the private half of an RSA or Ed25519 key, instead of `api_secret`: PEM
                text, bytes, or the path of a file. Needs the extra `asymmetric`.
            private_key_password: decrypts an encrypted private key.
            base_url: the service's URL; https://api.binance.com by default. Plain http is allowed
                only for a loopback address.
            recv_window: milliseconds for which a request stays valid, 1 to 60000; 5000 by default.
            timeout: seconds for one whole attempt, 15 by default: connecting, sending, and
                receiving the whole answer. Binance itself gives up after 10 s.
            max_attempts: the largest number of attempts, 3 by default. 1 turns off retries and
                waits for limits.
            max_retry_wait: the longest wait in seconds before one retry or for a limit; 60 by
                default.
            on_retry: called before each retry, for services that count them.
            transport: any httpx transport, or an AiohttpTransport, instead of our connections.
            proxy: URL of a proxy. Proxies named in the environment are not used.
            limits: a RedisLimits, which shares the limits with other processes.
        """
        credentials = Credentials(
            Hidden.of(api_key),
            Hidden.of(api_secret),
            Hidden.of(private_key),
            Hidden.of(private_key_password),
        )
        hidden_proxy = Hidden.of(proxy)
        # Tracebacks may print the local variables of this frame.
        del api_key, api_secret, private_key, private_key_password, proxy
        signer = credentials.signer()
        self._config = Config(
            base_url=base_url,
            recv_window=recv_window,
            timeout=timeout,
            max_attempts=max_attempts,
            max_retry_wait=max_retry_wait,
            on_retry=on_retry,
            transport=transport,
            proxy=hidden_proxy,
            limits=limits,
        )
        self._caller = Caller(
            self._config,
            signer,
            self._open_limits(signer.api_key),
            self._open_io(),
            operations.SERVER_TIME,
        )
        # A child that is forked while another thread imports this code would wait for ever.
        operations.import_generated()

    def _open_limits(self, api_key: Hidden) -> Limits:
        limits = self._config.limits
        if limits is None:
            return Limits()
        is_async = isinstance(self, AsyncSmallLiabilityClient)
        opened: Limits = limits.open(api_key.reveal(), is_async=is_async)
        return opened

    def _open_io(self) -> "Io":
        raise TypeError("Make a SmallLiabilityClient or an AsyncSmallLiabilityClient.")

    @classmethod
    def from_env(cls, **options: Unpack[Options]) -> Self:
        """Makes a client from environment variables.

        They are `BINANCE_API_KEY`, `BINANCE_API_SECRET` or `BINANCE_PRIVATE_KEY_FILE` (with
        `BINANCE_PRIVATE_KEY_PASSWORD`), `BINANCE_BASE_URL`, `BINANCE_PROXY` and
        `BINANCE_LIMITS_URL`. An empty variable counts as unset. `options` are those of the
        constructor and take precedence. Raises ConfigurationError, which names the variable.
        """
        for name in options.keys() - Options.__annotations__.keys():
            # The value may be a secret, and the error's frames must not contain it.
            cast(dict[str, Any], options).clear()
            instead = f"; set {VARIABLES[name]}" if name in VARIABLES else ""
            raise ConfigurationError(name, f"is not an option of from_env{instead}")
        given = set(options)
        # Hidden, because the frames of an error may show it.
        proxy = Hidden.of(options.pop("proxy", None))
        try:
            settings: dict[str, Any] = {**environment(), **options}
            if isinstance(settings.get("limits"), Hidden):
                settings["limits"] = _redis_limits(settings["limits"])
            if "proxy" in given:
                settings["proxy"] = proxy
            elif options.get("transport") is not None:
                settings.pop("proxy", None)
            return cls(**settings)
        except ConfigurationError as error:
            is_given = error.option in given
            option = error.option if is_given else VARIABLES.get(error.option, error.option)
            raise ConfigurationError(option, error.problem) from None

    def _recv_window(self, recv_window: int | None) -> int:
        return self._config.recv_window if recv_window is None else check_recv_window(recv_window)

    @property
    def used_weight(self) -> int | None:
        """The request weight that this IP address used in the minute of the last `list_coins`.

        The source is `X-SAPI-USED-IP-WEIGHT-1M`. None before the first answer. The budget is 12000.
        """
        return self._caller.used_weight.get(operations.LIST_COINS.name)

    def __repr__(self) -> str:
        # A traceback may show a client whose options were refused.
        base_url = self._config.base_url if hasattr(self, "_config") else None
        return f"{type(self).__name__}(base_url={base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"A {type(self).__name__} cannot be pickled or copied; make another one.")


def _redis_limits(url: Hidden) -> "RedisLimits":
    try:
        from .redis import RedisLimits
    except ImportError:
        raise ConfigurationError(
            "limits", "needs another package: pip install 'binance-small-liability[redis]'"
        ) from None
    return RedisLimits(url)


class SmallLiabilityClient(ConfiguredClient):
    """A synchronous client. Threads may share it."""

    _io: "ThreadIo"

    def _open_io(self) -> "Io":
        # Imported here, because each client needs only one of `threads` and `tasks`.
        from ._io import threads

        self._run = threads.run
        self._io = threads.ThreadIo(threads.connector(self._config.transport, self._config.proxy))
        return self._io

    def list_coins(self, *, recv_window: int | None = None) -> list[Coin]:
        """The coins whose small debts can be exchanged; an empty list if there are none.

        Request weight: 100 of 12000 per minute and IP address. Source:
        https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-Coin-List

        Args:
            recv_window: milliseconds for which this request stays valid, 1 to 60000.

        Raises:
            SmallLiabilityError: the call failed; the subclass is the reason.
        """
        window = self._recv_window(recv_window)
        return self._run(self._caller.call(operations.LIST_COINS, recv_window=window))

    def exchange(self, assets: Iterable[str], *, recv_window: int | None = None) -> None:
        """Exchanges the small debts in `assets` for a debt in a coin that Binance chooses.

        A return means that Binance accepted the exchange. `list_exchanges` shows the result.
        Request weight: 3000 of 180000 per minute and account. Source:
        https://developers.binance.com/docs/margin_trading/trade/Small-Liability-Exchange

        Args:
            assets: 1 to 10 names of coins, without duplicates.
            recv_window: milliseconds for which this request stays valid, 1 to 60000.

        Raises:
            ConfigurationError: `assets` are wrong; nothing was sent.
            OutcomeUnknownError: the exchange may have taken effect; do not repeat it.
            SmallLiabilityError: the exchange did not take effect; the subclass is the reason.
        """
        names = operations.checked_assets(assets)
        window = self._recv_window(recv_window)
        self._run(
            self._caller.call(operations.EXCHANGE, names, **operations.exchanging(names, window))
        )

    def list_exchanges(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        recv_window: int | None = None,
    ) -> list[Exchange]:
        """All past exchanges of a time range, oldest first.

        Request weight: 100 of 180000 per minute and account, for each page of 100. Source:
        https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-History

        Args:
            start: the earliest time, an aware datetime; 30 days before `end` by default.
            end: the latest time, an aware datetime; now by default.
            recv_window: milliseconds for which each request stays valid, 1 to 60000.

        Raises:
            SmallLiabilityError: a page could not be read; the subclass is the reason.
        """
        window = self._recv_window(recv_window)
        return self._run(list_exchanges(self._caller, start, end, window))

    def close(self) -> None:
        """Closes the connections."""
        self._io.close()
        self._run(self._caller.limits.close())
        if self._config.transport is not None:
            self._config.transport.close()

    def __enter__(self) -> Self:
        """This client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self.close()


class AsyncSmallLiabilityClient(ConfiguredClient):
    """An asynchronous client. Tasks may share it; each event loop has its own connections."""

    _io: "TaskIo"

    def _open_io(self) -> "Io":
        from ._io import tasks

        self._io = tasks.TaskIo(tasks.connector(self._config.transport, self._config.proxy))
        return self._io

    async def list_coins(self, *, recv_window: int | None = None) -> list[Coin]:
        """See `SmallLiabilityClient.list_coins`."""
        window = self._recv_window(recv_window)
        return await self._caller.call(operations.LIST_COINS, recv_window=window)

    async def exchange(self, assets: Iterable[str], *, recv_window: int | None = None) -> None:
        """See `SmallLiabilityClient.exchange`.

        If the task is cancelled after sending began, the cancellation passes through, and a warning
        with the assets and the time of sending is logged: the outcome is unknown.
        """
        names = operations.checked_assets(assets)
        window = self._recv_window(recv_window)
        await self._caller.call(operations.EXCHANGE, names, **operations.exchanging(names, window))

    async def list_exchanges(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        recv_window: int | None = None,
    ) -> list[Exchange]:
        """See `SmallLiabilityClient.list_exchanges`."""
        window = self._recv_window(recv_window)
        return await list_exchanges(self._caller, start, end, window)

    async def close(self) -> None:
        """Closes the connections."""
        await self._io.close()
        await self._caller.limits.close()
        if self._config.transport is not None:
            await self._config.transport.aclose()

    async def __aenter__(self) -> Self:
        """This client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connections."""
        await self.close()
