"""`FakeBinance`: how one request passes through limits, checks, script and handler."""

import inspect
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from email.utils import formatdate
from typing import Any

import attrs
import httpx
from binance_small_liability_api import operations

from binance_small_liability._config import VARIABLES, is_loopback
from binance_small_liability._errors import ConfigurationError

from . import _replies as replies
from ._account import Account
from ._checks import CheckedRequest, fault
from ._contract import Operation, packaged_contract
from ._handlers import HANDLERS, Refused
from ._json import exact_json
from ._received import ReceivedRequest, note_status, received
from ._script import Script, Step
from ._servers import InProcess, Serving, Wait, patience
from ._signatures import hmac_verifier, public_key_verifier
from ._weights import Charge, Weights

API_KEY = "FakeBinanceApiKey".ljust(64, "0")
API_SECRET = "FakeBinanceApiSecret".ljust(64, "0")
MOST_REQUESTS = 10_000


class FakeBinance(Account, Script):
    """Checks requests as Binance does, and returns the responses of the contract.

    Threads may share it. Each fake has its own credentials, account, weights and script.

    Attributes:
        api_key: the only key that it accepts.
        api_secret: the secret of that key; None if a public key was given.
        coins: the coins that can be exchanged; at first the example of Binance's page.
        exchanges: the past exchanges, as `Exchange` records. An exchange removes its coins from
            `coins` and adds to this list.
        quote_quantity: whether it writes `liabilityQty` as a string, as users of the live service
            have reported. By default it is a number, as documented.
        hours_between_exchanges: hours after an exchange in which the next one is refused, 6 by
            default; 0 turns this off.
        exchange_body: the body of the response to an exchange, at first the contract's example.
            Binance does not document it.
        clock_skew: milliseconds by which its clock is ahead of this machine's.
        weight_limit: the budget per minute of each operation that has one; None, the default, means
            the contract's budgets.
        minute: the length in seconds of the minute in which weights are counted; 60 by default.
        requests: the last 10,000 received requests, in order, without key and signature.
    """

    def __init__(
        self,
        *,
        api_key: str = API_KEY,
        api_secret: str | None = None,
        public_key: str | bytes | None = None,
        upstream: str | None = None,
    ) -> None:
        """Accepts one API key. Raises ConfigurationError.

        Args:
            api_key: as clients will send it.
            api_secret: for HMAC keys; a test secret by default.
            public_key: PEM, for RSA and Ed25519 keys, instead of `api_secret`.
            upstream: URL of a mock server, such as Prism, that answers the signed requests that the
                fake accepts. An exchange still takes effect in the fake, so its rules and the
                script work as usual. The fake itself answers requests for the time.
        """
        contract = packaged_contract()
        Script.__init__(self, contract)
        documented = contract.operations["list_coins"].answer(status=200).value
        exchange = contract.operations["exchange"]
        hours = exchange.rules["once-in-hours"]
        body = exact_json(exchange.answer(status=200).value).encode()
        coins = operations.list_coins.read(documented, set())
        Account.__init__(self, coins, hours, body)
        if public_key is None:
            api_secret = API_SECRET if api_secret is None else api_secret
            self._verify = hmac_verifier(api_secret)
        elif api_secret is None:
            self._verify = public_key_verifier(public_key)
        else:
            raise ConfigurationError("public_key", "cannot be combined with api_secret")
        self.api_key = api_key
        self.api_secret = api_secret
        self.weight_limit: int | None = None
        self.minute: float = 60
        self.requests: list[ReceivedRequest] = []
        self._weights = Weights()
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

    def environment(self, url: str) -> dict[str, str]:
        """The variables with which `from_env` and the command line reach it at `url`."""
        options = {"base_url": url, **self.credentials}
        if not is_loopback(httpx.URL(url).host):
            options["insecure_http"] = "1"
        return {VARIABLES[name]: value for name, value in options.items()}

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> AbstractContextManager[str]:
        """Serves it, by default at a free port of this machine alone; `with` gives the URL.

        Args:
            port: where to listen; 0 for a free one.
            host: the address to listen at. Other machines reach 0.0.0.0, and their clients need the
                option `insecure_http`.
        """
        return Serving(self.handle, host, port)

    def handle(self, request: httpx.Request, wait: Wait | None = None) -> httpx.Response:
        """Answers one request, whose body was read.

        Args:
            request: its extension `target`, if there is one, holds path and query as they were
                sent; an httpx.URL may be normalized.
            wait: how to wait for a scripted delay, in seconds. It raises httpx.TransportError if
                the client gives up. By default the request's own timeout decides.

        Raises:
            httpx.TransportError: the script or `wait` raised it.
        """
        target: bytes = request.extensions.get("target", request.url.raw_path)
        arrived = self._record(request, target)
        incoming = _Incoming(request, target, wait or patience(request))
        operations = self._contract.at(incoming.path)
        if request.method in operations:
            response = self._answer(operations[request.method], incoming)
        else:
            response = replies.undocumented(list(operations))
        response.headers.setdefault("Date", formatdate(self.now / 1000, usegmt=True))
        note_status(arrived, response.status_code)
        response.request = request
        return response

    def _answer(self, operation: Operation, incoming: "_Incoming") -> httpx.Response:
        with self._lock:
            checked = self._checked(operation, incoming)
            charge = self._charge(checked)
            headers = _weight_headers(operation, charge)
            refusal = self._refusal(checked, charge, headers)
            if refusal is not None:
                return refusal
            before = self._take_step(operation, after_effect=False)
        response = _play(before, incoming, headers)
        if response is not None:
            return response
        with self._lock:
            try:
                body = self._take_effect(checked)
            except Refused as refused:
                return replies.reply(operation.answer(code=refused.code), headers)
            # One request uses one step.
            after = self._take_step(operation, after_effect=True) if before is None else None
        response = _play(after, incoming, headers)
        if response is not None:
            return response
        if self._upstream is not None and operation.signed:
            return replies.forward(self._upstream, incoming.http, incoming.target, headers)
        return replies.reply(operation.answer(status=200), headers, body=body)

    def _checked(self, operation: Operation, incoming: "_Incoming") -> CheckedRequest:
        return CheckedRequest(
            contract=self._contract,
            operation=operation,
            query=incoming.query,
            key=incoming.http.headers.get(self._contract.key_header),
            known_key=self.api_key,
            verify=self._verify,
            now=self.now,
        )

    def _charge(self, checked: CheckedRequest) -> Charge:
        """Charges the request. Limits come first, before any check of its contents."""
        budget = checked.operation.weight_per_minute
        if budget is not None and self.weight_limit is not None:
            budget = self.weight_limit
        minute = round(self.minute * 1000)
        return self._weights.charge(
            checked.operation, checked.key or "", budget=budget, now=self.limits_now, minute=minute
        )

    def _refusal(
        self, checked: CheckedRequest, charge: Charge, headers: dict[str, str]
    ) -> httpx.Response | None:
        if charge.status is not None:
            limited = {**headers, "Retry-After": str(charge.retry_after)}
            return replies.reply(checked.operation.answer(status=charge.status), limited)
        code = fault(checked)
        return None if code is None else replies.reply(checked.operation.answer(code=code), headers)

    def _take_effect(self, checked: CheckedRequest) -> Any:
        """The body of the usual answer; None means the contract's example. Raises Refused."""
        handler = HANDLERS.get(checked.operation.id)
        if handler is None:
            return None
        arguments = checked.arguments
        if not arguments.keys() <= inspect.signature(handler).parameters.keys():
            raise Refused(-1104)
        return handler(self, **arguments)

    def _record(self, request: httpx.Request, target: bytes) -> ReceivedRequest:
        secrets = {
            self._contract.key_header.lower(): self.api_key,
            self._contract.signature_name.lower(): self.api_secret or "",
        }
        headers = request.headers.multi_items()
        arrived = received(request.method, target.decode("latin-1"), headers, secrets)
        self.requests.append(arrived)
        del self.requests[:-MOST_REQUESTS]
        return arrived


@attrs.frozen
class _Incoming:
    """A request that is not answered yet."""

    http: httpx.Request
    target: bytes  # path and query, as sent
    wait: Wait

    @property
    def path(self) -> str:
        return self.target.decode("latin-1").partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.decode("latin-1").partition("?")[2]


def _weight_headers(operation: Operation, charge: Charge) -> dict[str, str]:
    return {} if operation.weight_header is None else {operation.weight_header: str(charge.used)}


def _play(
    step: Step | None, incoming: _Incoming, headers: Mapping[str, str]
) -> httpx.Response | None:
    """Does what a step says. Returns None if the usual answer follows."""
    if step is None:
        return None
    if step.delay:
        incoming.wait(step.delay)
    if step.drop:
        raise httpx.RemoteProtocolError("The connection was dropped", request=incoming.http)
    return None if step.respond is None else step.respond(headers)
