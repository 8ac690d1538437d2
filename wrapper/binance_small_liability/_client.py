"""The two clients: one short method per endpoint."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Self, TypedDict, TypeVar, Unpack, cast

import attrs
import httpx
from binance_small_liability_api import operations
from binance_small_liability_api.operation import Operation
from binance_small_liability_api.records import Coin, Exchange

from ._call.arguments import checked_assets, checked_query
from ._call.call import Call, Caller
from ._call.credentials import Credentials
from ._call.details import BudgetDetails, RetryDetails, WaitDetails
from ._call.limits import Limits
from ._config import (
    BASE_URL,
    MAX_ATTEMPTS,
    MAX_RETRY_WAIT,
    RECV_WINDOW,
    TIMEOUT,
    VARIABLES,
    Config,
    check_recv_window,
    environment,
)
from ._errors import ConfigurationError, Receipt
from ._history import confirm, list_exchanges
from ._secrets import Hidden

if TYPE_CHECKING:
    from ._io.messages import Io
    from ._io.tasks import TaskIo
    from ._io.threads import ThreadIo
    from .redis import RedisLimits


P = ParamSpec("P")
T = TypeVar("T")


class CallOptions(TypedDict, total=False):
    timeout: float
    max_attempts: int
    max_retry_wait: float


class Options(CallOptions, total=False):
    base_url: str
    insecure_http: bool
    recv_window: int
    on_retry: Callable[[RetryDetails], object] | None
    on_wait: Callable[[WaitDetails], object] | None
    transport: Any
    proxy: Any
    limits: "RedisLimits | None"


class ConfiguredClient:
    """What both clients share: their options."""

    _io: "TaskIo | ThreadIo"

    def __init__(
        self,
        *,
        api_key: str | None = None,
        api_secret: str | None = None,
        private_key: str | bytes | PathLike[str] | None = None,
        private_key_password: str | bytes | None = None,
        base_url: str = BASE_URL,
        insecure_http: bool = False,
        recv_window: int = RECV_WINDOW.default,
        timeout: float = TIMEOUT,
        max_attempts: int = MAX_ATTEMPTS,
        max_retry_wait: float = MAX_RETRY_WAIT,
        on_retry: Callable[[RetryDetails], object] | None = None,
        on_wait: Callable[[WaitDetails], object] | None = None,
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
            insecure_http: True allows plain http for other addresses, too: anyone on the network
                can read the API key. Only for a mock server, such as one in another container.
            recv_window: milliseconds for which a request stays valid; by default and at most what
                the operations' parameter `recv_window` documents.
            timeout: seconds for one whole attempt, 15 by default: connecting, sending, and
                receiving the whole response. Binance itself gives up after 10 s. `with_options`
                gives single calls another one.
            max_attempts: the largest number of attempts, 3 by default. 1 turns off retries and
                waits for limits.
            max_retry_wait: the longest wait in seconds before one retry or for a limit; 60 by
                default.
            on_retry: called with a RetryDetails before each retry.
            on_wait: called with a WaitDetails before each wait for a limit.
            transport: an httpx transport, or an AiohttpTransport, that replaces the client's own
                connections.
            proxy: URL of a proxy. Proxies named in the environment are not used.
            limits: a RedisLimits, which shares the limits with other processes.
        """
        secrets = api_key, api_secret, private_key, private_key_password
        credentials = Credentials(*map(Hidden.of, secrets))
        hidden_proxy = Hidden.of(proxy)
        # Tracebacks may print the local variables of this frame.
        del api_key, api_secret, private_key, private_key_password, proxy, secrets
        signer = credentials.signer()
        self._config = Config(
            base_url=base_url,
            insecure_http=insecure_http,
            recv_window=recv_window,
            timeout=timeout,
            max_attempts=max_attempts,
            max_retry_wait=max_retry_wait,
            transport=transport,
            on_retry=on_retry,
            on_wait=on_wait,
            limits=limits,
            proxy=hidden_proxy,
        )
        opened = self._open_limits(signer.api_key)
        self._caller = Caller(signer, opened, self._open_io(), self._config)

    def _open_limits(self, api_key: Hidden) -> Limits:
        limits = self._config.limits
        if limits is None:
            return Limits()
        is_async = isinstance(self, AsyncSmallLiabilityClient)
        return cast(Limits, limits.open(api_key.reveal(), is_async=is_async))

    def _open_io(self) -> "Io":
        raise TypeError("Make a SmallLiabilityClient or an AsyncSmallLiabilityClient.")

    @classmethod
    def from_env(cls, **options: Unpack[Options]) -> Self:
        """Makes a client from environment variables.

        They are `BINANCE_API_KEY`, `BINANCE_API_SECRET` or `BINANCE_PRIVATE_KEY_FILE` (with
        `BINANCE_PRIVATE_KEY_PASSWORD`), `BINANCE_BASE_URL`, `BINANCE_INSECURE_HTTP` (1 means True),
        `BINANCE_PROXY` and `BINANCE_LIMITS_URL`. An empty variable counts as unset. If `transport`
        is given, `BINANCE_PROXY` is ignored: give a proxy to the transport.

        Args:
            options: those of the constructor, except credentials; they take precedence over
                variables: `base_url`, `insecure_http`, `recv_window`, `timeout`, `max_attempts`,
                `max_retry_wait`, `on_retry`, `on_wait`, `transport`, `proxy` and `limits`.

        Raises:
            ConfigurationError: an option or a variable is wrong or missing; the error names it.
        """
        _check_names(cast(dict[str, Any], options), Options, "from_env")
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
            problem = error.problem
            for name in ("api_secret", "private_key"):
                problem = problem.replace(name, VARIABLES[name])
            raise ConfigurationError(option, problem) from None

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """This client with other options, for single calls.

        For example `client.with_options(timeout=5).list_coins()`. Both share connections, clock and
        limits. Closing one closes both.

        Args:
            options: `timeout`, `max_attempts` and `max_retry_wait`, as of the constructor.

        Raises:
            ConfigurationError: an option is wrong.
        """
        _check_names(cast(dict[str, Any], options), CallOptions, "with_options")
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin._config = attrs.evolve(self._config, **options)
        twin._caller = copy(self._caller)
        twin._caller.config = twin._config
        return twin

    @property
    def closed(self) -> bool:
        """Whether it was closed. A closed client sends nothing and cannot be entered again."""
        return self._io.closed

    def _read(
        self,
        operation: Operation[..., Any],
        positional: tuple[object, ...],
        parameters: dict[str, object],
    ) -> Mapping[str, object]:
        """The parameters of a read. Raises ConfigurationError."""
        if not isinstance(operation, Operation):
            raise ConfigurationError(
                "operation", "must be one of binance_small_liability.operations"
            )
        if operation.method != "GET":
            raise ConfigurationError(
                "operation", f"must be a read; {operation.name} is a {operation.method}"
            )
        if positional:
            raise ConfigurationError("parameters", "must be given by name")
        checked_query(operation, parameters)
        return parameters

    def _exchange(self, assets: Iterable[str], recv_window: int | None = None) -> Call[None]:
        """The call that exchanges `assets`. Raises ConfigurationError."""
        names = checked_assets(assets)
        parameters = {"asset_names": names, "recv_window": self._recv_window(recv_window)}
        return Call(self._caller, operations.exchange, parameters, names)

    def _recv_window(self, recv_window: int | None) -> int:
        return self._config.recv_window if recv_window is None else check_recv_window(recv_window)

    @property
    def used_weight(self) -> int | None:
        """The request weight that was used in the minute of the last `list_coins`.

        None before the first response. `binance_small_liability.operations.list_coins` documents
        the budget, and whether Binance counts it by IP address or by account.
        """
        return self._caller.used_weight.get(operations.list_coins.name)

    @property
    def budgets(self) -> dict[str, BudgetDetails]:
        """What is left of each budget, by the name of its operation. Sends nothing."""
        caller = self._caller
        return {
            each.name: BudgetDetails(
                each.weight_per_minute, caller.used_weight.get(each.name), caller.limits.left(each)
            )
            for each in operations.ALL.values()
            if each.weight_per_minute is not None
        }

    def __repr__(self) -> str:
        # A traceback may show a client whose options were refused.
        base_url = self._config.base_url if hasattr(self, "_config") else None
        return f"{type(self).__name__}(base_url={base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"A {type(self).__name__} cannot be pickled or copied; make another one.")


def _check_names(options: dict[str, Any], known: type, method: str) -> None:
    for name in options.keys() - known.__annotations__.keys():
        # The value may be a secret, and the error's frames must not contain it.
        options.clear()
        instead = f"; set {VARIABLES[name]}" if name in VARIABLES and known is Options else ""
        raise ConfigurationError(name, f"is not an option of {method}{instead}")


def _redis_limits(url: Hidden) -> "RedisLimits":
    try:
        from .redis import RedisLimits
    except ImportError:
        raise ConfigurationError(
            "limits", 'needs another package: pip install "binance-small-liability[redis]"'
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

    def call(self, operation: Operation[P, T], /, *args: P.args, **parameters: P.kwargs) -> T:
        """Makes any read of the contract, with limits, retries, clock and errors as usual.

        Args:
            operation: one of `binance_small_liability.operations` whose method is GET. Its
                documentation lists the parameters, with bounds, and the request weight.
            args: not allowed; give parameters by name.
            parameters: of the operation. None counts as missing.

        Raises:
            ConfigurationError: the operation is not a read, or a parameter is wrong; nothing was
                sent.
            SmallLiabilityError: the call failed; the subclass is the reason.
        """
        return self._run(self._caller.call(operation, self._read(operation, args, parameters)))

    def list_coins(self, *, recv_window: int | None = None) -> list[Coin]:
        """The coins whose small debts can be exchanged; an empty list if there are none.

        The operation is `binance_small_liability.operations.list_coins`.

        Args:
            recv_window: milliseconds for which this request stays valid.

        Raises:
            SmallLiabilityError: the call failed; the subclass is the reason.
        """
        return self.call(operations.list_coins, recv_window=recv_window)

    def exchange(self, assets: Iterable[str], *, recv_window: int | None = None) -> Receipt:
        """Exchanges the small debts in `assets` for a debt in a coin that Binance chooses.

        If it returns, Binance accepted the exchange. `confirm` shows the result. The operation
        is `binance_small_liability.operations.exchange`; it documents how many assets one exchange
        takes.

        An exception that interrupts it after sending began, such as KeyboardInterrupt, passes
        through. It has a note and the attribute `receipt`, and a warning with the same `receipt` is
        logged: the outcome is unknown.

        Args:
            assets: names of coins, without duplicates.
            recv_window: milliseconds for which this request stays valid.

        Raises:
            ConfigurationError: `assets` are wrong; nothing was sent.
            OutcomeUnknownError: the exchange may have taken effect; do not retry it; pass the
                error's `receipt` to `confirm`.
            SmallLiabilityError: the exchange did not take effect; the subclass is the reason.
        """
        call = self._exchange(assets, recv_window)
        try:
            self._run(call.run())
            return call.receipt  # noqa: TRY300 - an interruption here leaves a receipt, too
        except BaseException as interrupt:
            call.leave_receipt(interrupt)
            raise

    def confirm(self, receipt: Receipt, *, recv_window: int | None = None) -> list[Exchange]:
        """Finds out whether an exchange took effect. Returns its rows in the history, oldest first.

        An empty list means that the exchange did not take effect. The history is read until each
        asset of the receipt has a row, or until the receipt's `conclusive_at` has passed on
        Binance's clock, which takes about 16 s after an exchange. The client need not be the one
        that sent the exchange, but its API key must belong to the same account.

        Args:
            receipt: what `exchange` returned, or an OutcomeUnknownError's `receipt`.
            recv_window: milliseconds for which each request stays valid.

        Raises:
            SmallLiabilityError: the history could not be read; the outcome is still unknown.
        """
        window = self._recv_window(recv_window)
        return self._run(confirm(self._caller, receipt, window))

    def list_exchanges(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        recv_window: int | None = None,
    ) -> list[Exchange]:
        """All past exchanges of a time range, oldest first.

        The operation is `binance_small_liability.operations.list_exchanges`. It is called once for
        each page.

        Args:
            start: the earliest time, an aware datetime; 30 days before `end` by default.
            end: the latest time, an aware datetime; now by default.
            recv_window: milliseconds for which each request stays valid.

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
        """This client. Raises ConfigurationError if it is closed."""
        self._io.check_open()
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

    async def call(self, operation: Operation[P, T], /, *args: P.args, **parameters: P.kwargs) -> T:
        """See `SmallLiabilityClient.call`."""
        return await self._caller.call(operation, self._read(operation, args, parameters))

    async def list_coins(self, *, recv_window: int | None = None) -> list[Coin]:
        """See `SmallLiabilityClient.list_coins`."""
        return await self.call(operations.list_coins, recv_window=recv_window)

    async def exchange(self, assets: Iterable[str], *, recv_window: int | None = None) -> Receipt:
        """See `SmallLiabilityClient.exchange`."""
        call = self._exchange(assets, recv_window)
        try:
            await call.run()
            return call.receipt  # noqa: TRY300 - an interruption here leaves a receipt, too
        except BaseException as interrupt:
            call.leave_receipt(interrupt)
            raise

    async def confirm(self, receipt: Receipt, *, recv_window: int | None = None) -> list[Exchange]:
        """See `SmallLiabilityClient.confirm`."""
        window = self._recv_window(recv_window)
        return await confirm(self._caller, receipt, window)

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
        """This client. Raises ConfigurationError if it is closed."""
        self._io.check_open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connections."""
        await self.close()
