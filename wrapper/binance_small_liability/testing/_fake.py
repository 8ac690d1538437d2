"""`FakeBinance`: the checks, the books, the script and the doors, put together."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import httpx

from binance_small_liability._errors import ConfigurationError
from binance_small_liability._io import real_time as _time
from binance_small_liability._records import Coin

from . import _replies as replies
from ._books import LIMIT, Books
from ._checks import Call, fault
from ._contract import Operation, packaged_contract
from ._doors import InProcess, serving
from ._json import coins_as_json, coins_from_example, exact_json
from ._record import ReceivedRequest, received
from ._script import LIST, Script, Step
from ._signatures import hmac_verifier, public_key_verifier

API_KEY = "FakeBinanceApiKey".ljust(64, "0")
API_SECRET = "FakeBinanceApiSecret".ljust(64, "0")


class FakeBinance(Script):
    """An exchange that verifies requests as Binance does and answers as the contract says.

    Threads may share it. Each has its own credentials, books and script.

    Attributes:
        api_key: the only key that it knows.
        api_secret: the secret of that key; None where a public key was given.
        coins: what it answers with; at first the example of Binance's page.
        quote_quantity: whether it writes `liabilityQty` as a string, as the live service has been
            reported to, instead of a number, as documented.
        clock_skew: milliseconds by which its clock is ahead of this machine's.
        weight_limit: the request weight that each endpoint allows in a calendar minute.
        requests: what arrived, in order, without key and signature.
    """

    def __init__(
        self,
        *,
        api_key: str = API_KEY,
        api_secret: str | None = None,
        public_key: str | bytes | None = None,
        upstream: str | None = None,
    ) -> None:
        """Knows one API key. Raises ConfigurationError.

        Args:
            api_key: as clients will send it.
            api_secret: for HMAC keys; a test secret by default.
            public_key: PEM, for RSA and Ed25519 keys, instead of `api_secret`.
            upstream: URL of a mock server, such as Prism, that lists the coins once the checks are
                passed. The time is always told by the fake.
        """
        super().__init__(packaged_contract())
        if public_key is None:
            api_secret = API_SECRET if api_secret is None else api_secret
            self._verify = hmac_verifier(api_secret)
        elif api_secret is None:
            self._verify = public_key_verifier(public_key)
        else:
            raise ConfigurationError("public_key", "cannot be combined with api_secret")
        self.api_key = api_key
        self.api_secret = api_secret
        self.coins: list[Coin] = coins_from_example(self._operation(LIST).answer(status=200).value)
        self.quote_quantity = False
        self.clock_skew = 0
        self.weight_limit = LIMIT
        self.requests: list[ReceivedRequest] = []
        self._books = Books()
        self._upstream = upstream
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"FakeBinance({len(self.requests)} requests)"

    @property
    def credentials(self) -> dict[str, Any]:
        """The keywords `api_key` and, unless a public key was given, `api_secret` of a client."""
        secret = {} if self.api_secret is None else {"api_secret": self.api_secret}
        return {"api_key": self.api_key, **secret}

    def transport(self) -> InProcess:
        """An httpx transport that reaches it within the process, for clients of either kind."""
        return InProcess(self.handle)

    def serve(self, port: int = 0) -> AbstractContextManager[str]:
        """Serves it on a loopback port, by default a free one; `with` gives the URL."""
        # Whoever is at the other end really waits.
        return serving(partial(self.handle, wait=time.sleep), port)

    @property
    def now(self) -> int:
        """Its clock: Unix time in milliseconds."""
        return _time.unix_ns() // 1_000_000 + self.clock_skew

    def advance(self, seconds: float) -> None:
        """Time passes at once: within `no_waiting` for the clients of this package, too."""
        if not _time.skip(seconds):
            self.clock_skew += round(seconds * 1000)

    def handle(
        self, request: httpx.Request, wait: Callable[[float], None] = _time.sleep
    ) -> httpx.Response:
        """Answers one request, whose body was read.

        Args:
            request: its extension `target`, if there is one, holds path and query as they were
                sent; an httpx.URL may be tidier.
            wait: how to wait for a scripted delay, in seconds.

        Raises:
            httpx.TransportError: the script says so.
        """
        target: bytes = request.extensions.get("target", request.url.raw_path)
        path, _, query = target.decode("latin-1").partition("?")
        methods = {o.method: o for o in self._contract.operations if o.path == path}
        operation = methods.get(request.method)
        step = Step()
        if operation is None:
            response: httpx.Response | None = replies.elsewhere(list(methods))
        else:
            with self._lock:
                response = self._refusal(operation, query, request)
                if response is None:
                    step = self._next_step(path)
            if response is None and not step.drop:
                try:
                    response = self._answer(step, operation, request, target)
                except httpx.TransportError:  # of the upstream
                    self._record(request, target, None)
                    raise
        self._record(request, target, response)
        if step.delay:
            _delay(step.delay, request, wait)
        if response is None:
            raise httpx.RemoteProtocolError("The connection was dropped", request=request)
        response.request = request
        return response

    def _refusal(
        self, operation: Operation, query: str, request: httpx.Request
    ) -> httpx.Response | None:
        """Limits stand before the exchange: they are charged before anything is looked at."""
        now = self.now
        refused = self._books.charge(operation.path, operation.weight, now, self.weight_limit)
        used = self._books.used(operation.path)
        if refused:
            answer = operation.answer(status=refused.status)
            return replies.reply(answer, used, retry_after=refused.retry_after)
        code = fault(
            Call(
                contract=self._contract,
                operation=operation,
                query=query,
                key=request.headers.get(self._contract.key_header),
                known_key=self.api_key,
                verify=self._verify,
                now=now,
            )
        )
        return None if code is None else replies.reply(operation.answer(code=code), used)

    def _answer(
        self, step: Step, operation: Operation, request: httpx.Request, target: bytes
    ) -> httpx.Response:
        used = self._books.used(operation.path)
        if step.respond is not None:
            return step.respond(used)
        if operation.path != LIST:
            body = exact_json({"serverTime": self.now})
        elif self._upstream is not None:
            return replies.forward(self._upstream, request, target, used)
        else:
            body = coins_as_json(self.coins, quote_quantity=self.quote_quantity)
        return replies.reply(operation.answer(status=200), used, body=body)

    def _record(
        self, request: httpx.Request, target: bytes, response: httpx.Response | None
    ) -> None:
        secrets = {
            self._contract.key_header.lower(): self.api_key,
            self._contract.signature_name.lower(): self.api_secret or "",
        }
        status = None if response is None else response.status_code
        headers = request.headers.multi_items()
        self.requests.append(
            received(request.method, target.decode("latin-1"), headers, status, secrets)
        )


def _delay(seconds: float, request: httpx.Request, wait: Callable[[float], None]) -> None:
    # Within the process nothing but this heeds the client's time-out.
    patience = request.extensions.get("timeout", {}).get("read")
    if patience is not None and seconds > patience:
        wait(patience)
        raise httpx.ReadTimeout("The answer did not arrive in time", request=request)
    wait(seconds)
