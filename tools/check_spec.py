"""Checks whether today's client still works when the API follows another contract.

The unchanged client calls Prism, which serves the other contract: its examples, and answers
generated from its schemas. Changes that no call can show, such as a removed status, are read from
the two contracts.

    make check-spec SPEC=other.yaml
"""

import json
import logging
import operator
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from binance_small_liability import ApiError, SmallLiabilityClient

from tools.check_generated import PACKAGE, differences, generate
from tools.contract import answer_of, definition_of, inlined, load, resolved, responses
from tools.operations import LIST_COINS, OPERATIONS, SERVER_TIME, Operation
from tools.other_contract import UnusableError, read
from tools.prism import prisms
from tools.terminal import say

_TODAY = load()
_TIME = _TODAY["components"]["schemas"]["Time"]
_MADE_UP = "made up"
# The number of generated answers, so that each alternative of a schema occurs.
_TIMES_200 = 20
_TIMES = 5
# The documented headers, and the attributes in which the client gives them to its caller.
_HEADERS = {
    "Retry-After": "retry_after",
    **{str(each.generated.weight_header): "used_weight" for each in OPERATIONS},
}
# The largest difference between Binance's time and a corrected timestamp, in milliseconds.
_CORRECTED = 60_000


@dataclass(frozen=True)
class Api:
    """The other API: its contract, and where Prism serves it."""

    contract: Any
    url: str
    http: httpx.BaseTransport


class Call(httpx.BaseTransport):
    """One call of today's client. Prism answers one operation with the requested answer.

    If that is the server time, the first signed request is refused because of its timestamp.
    """

    request: httpx.Request
    response: httpx.Response

    def __init__(
        self, api: Api, operation: Operation, answer: str, kind: str = "*/*", **options: Any
    ) -> None:
        self._http = api.http
        self.operation = operation
        self._asked = {"Prefer": answer, "Accept": kind}
        self.timestamps: list[int] = []
        self.error: Exception | None = None
        options |= {"base_url": api.url, "transport": self, "max_attempts": 1}
        with SmallLiabilityClient(
            api_key="test-api-key", api_secret="test-api-secret", **options
        ) as client:
            try:
                operation.call(client)
            except Exception as error:
                self.error = error
            self.used_weight = client.used_weight
        if not hasattr(self, "response"):
            raise LookupError(f"Prism did not answer {operation}: {self.error}")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request to Prism, and requests the tested answer of the tested operation."""
        if (request.method, request.url.path) != (self.operation.method, self.operation.path):
            if self.operation is SERVER_TIME:
                return self._judge_timestamp(int(request.url.params["timestamp"]))
            return self._http.handle_request(request)
        request.headers.update(self._asked)
        self.request, self.response = request, self._http.handle_request(request)
        self.response.read()
        return self._possible()

    def _possible(self) -> httpx.Response:
        """The answer; a generated one is first made consistent, as a server's would be."""
        if self.response.status_code != 200 or "dynamic" not in self._asked["Prefer"]:
            return self.response
        try:
            payload = self.operation.possible(self.response.json())
        except (ValueError, TypeError, LookupError):
            return self.response
        headers = {k: v for k, v in self.response.headers.items() if k != "content-length"}
        return httpx.Response(200, headers=headers, content=json.dumps(payload))

    def _judge_timestamp(self, timestamp: int) -> httpx.Response:
        self.timestamps.append(timestamp)
        if len(self.timestamps) == 1:
            return httpx.Response(400, json={"code": -1021, "msg": "The clock is wrong."})
        return httpx.Response(200, json=[])

    @property
    def refusal(self) -> ApiError | None:
        """The error with the status of the answer; it may be the cause of another."""
        error: BaseException | None = self.error
        while error is not None and not isinstance(error, ApiError):
            error = error.__cause__
        return error

    @property
    def body(self) -> dict[str, Any]:
        """The fields of the answer; empty if it is not a JSON object."""
        try:
            body = self.response.json()
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def has_impossible_time(self) -> bool:
        """Whether the generated time is one that the client rightly refuses."""
        time = self.body.get("serverTime")
        return isinstance(time, int) and not _TIME["minimum"] <= time <= _TIME["maximum"]

    @property
    def problem(self) -> str | None:
        """Why Prism could not give the requested answer."""
        said = self.body
        # Answers of the other contract may also have a field "type".
        if not str(said.get("type")).startswith("https://stoplight.io/prism/errors#"):
            return None
        return f"Prism: {said['detail'] or said['title']}"

    def violations(self, of: str) -> list[str]:
        """What Prism reports: where the "request" or the "response" breaks that contract."""
        found = json.loads(self.response.headers.get("sl-violations", "[]"))
        return [f"Prism: {each['message']}" for each in found if each["location"][0] == of]


def breaks(api: Api) -> Iterator[str]:
    """The changes that break today's client, each in one line."""
    for operation in (*OPERATIONS, SERVER_TIME):
        refusals = _refusals(api, operation)
        yield from (f"{operation}: {fault}" for fault in refusals or _departures(api, operation))
    yield from _times(api.contract)


def _departures(api: Api, operation: Operation) -> Iterator[str]:
    """What breaks the client although the other API accepts its requests."""
    host = _TODAY["servers"][0]["url"]
    hosts = _hosts(api.contract, operation)
    if hosts and host not in hosts:
        yield f"{host} is no longer among the servers"
    yield from _limits(api.contract, operation)
    for status, promised in responses(_TODAY, operation.method, operation.path).items():
        answer = answer_of(api.contract, operation.method, operation.path, status)
        if answer is None:
            yield f"{status} is no longer documented"
        # An unchanged answer is not tested here, because the contract tests do it.
        elif inlined(api.contract, answer) != inlined(_TODAY, promised) and (
            operation is not SERVER_TIME or status == "200"
        ):
            yield from (
                f"{status} {fault}" for fault in _faults(api, operation, status, promised, answer)
            )


def _limits(contract: Any, operation: Operation) -> Iterator[str]:
    """Limits with which today's client would send too much, and be refused and banned."""
    ours = definition_of(_TODAY, operation.method, operation.path)
    theirs = definition_of(contract, operation.method, operation.path)
    worse: dict[str, Callable[[Any, Any], bool]] = {
        "x-request-weight": operator.gt,
        "x-request-weight-per-minute": operator.lt,
        "x-request-weight-by": operator.ne,
    }
    for name, is_worse in worse.items():
        # A contract of somebody else may say nothing about limits.
        if name in ours and name in theirs and is_worse(theirs[name], ours[name]):
            yield f"{name} is {theirs[name]} instead of {ours[name]}: the client would be refused"


def _times(contract: Any) -> Iterator[str]:
    """A server time in another unit. `_faults` skips such generated answers, so none shows it."""
    answer = answer_of(contract, SERVER_TIME.method, SERVER_TIME.path, "200")
    schema = inlined(contract, answer or {})
    media = schema.get("content", {}).get("application/json", {})
    theirs = media.get("schema", {}).get("properties", {}).get("serverTime", {})
    earliest, latest = _TIME["minimum"], _TIME["maximum"]
    if theirs.get("maximum", latest) < earliest or theirs.get("minimum", earliest) > latest:
        yield f"{SERVER_TIME}: 200 serverTime: never between {earliest} and {latest}"


def _hosts(contract: Any, operation: Operation) -> list[str]:
    """The URLs of an operation's servers, with the defaults of their variables."""
    hosts = []
    for server in definition_of(contract, operation.method, operation.path)["servers"]:
        host = server["url"].rstrip("/")
        for name, variable in server.get("variables", {}).items():
            host = host.replace(f"{{{name}}}", str(variable["default"]))
        hosts.append(host)
    return hosts


def _refusals(api: Api, operation: Operation) -> list[str]:
    """Why the other API refuses the client's request with the default or a bound of recvWindow."""
    bounds = _TODAY["components"]["parameters"]["RecvWindow"]["schema"]
    ours = definition_of(_TODAY, operation.method, operation.path)
    documented = definition_of(api.contract, operation.method, operation.path)
    values = [bounds["default"]]
    # Unchanged parameters allow every value of today, as the contract tests show.
    if documented is not None and documented["parameters"] != ours["parameters"]:
        values += [bounds["minimum"], bounds["maximum"]]
    for recv_window in values:
        call = Call(api, operation, "code=200", recv_window=recv_window)
        if documented is None:
            return [call.problem or "no longer documented"]
        refusals = _misfits(api.contract, documented, call.request) or call.violations("request")
        if refusals:
            return refusals
    return []


def _misfits(contract: Any, documented: Any, request: httpx.Request) -> list[str]:
    """Missing and undocumented parameters. Prism ignores letter case and undocumented ones."""
    schemes = contract.get("components", {}).get("securitySchemes", {})
    credentials = [
        {_place(resolved(contract, schemes[name])) for name in alternative}
        for alternative in documented["security"]
    ]
    required = {_place(each) for each in documented["parameters"] if each.get("required")}
    sent = {("query", name) for name in request.url.params}
    sent |= {("header", name.lower()) for name in request.headers}
    if credentials and not any(alternative <= sent for alternative in credentials):
        required |= credentials[0]
    known = {_place(each) for each in documented["parameters"]}.union(*credentials)
    surplus = {(where, name) for where, name in sent - known if where == "query"}
    return [
        *(f"the {where} parameter {name} is required" for where, name in sorted(required - sent)),
        *(f"the {where} parameter {name} is not documented" for where, name in sorted(surplus)),
    ]


def _place(parameter: Any) -> tuple[str, str]:
    where, name = parameter.get("in", "header"), parameter.get("name", "Authorization")
    return where, name.lower() if where == "header" else name


def _faults(
    api: Api, operation: Operation, status: str, promised: Any, answer: Any
) -> Iterator[str]:
    """What the client fails to report about the answers with one status."""
    code = status.replace("XX", "00")
    content = answer.get("content", {})
    # If there are several media types, the server is assumed to prefer today's.
    kind = next((kind for kind in promised["content"] if kind in content), next(iter(content), ""))
    media = content.get(kind, {})
    asked = {name: f'code={code}, example="{name}"' for name in media.get("examples", {})}
    if "example" in media:
        asked["example"] = f"code={code}"
    found: dict[str, list[str]] = {}
    made_up = [(_MADE_UP, f"code={code}, dynamic=true")] * (_TIMES_200 if code == "200" else _TIMES)
    for name, prefer in [*asked.items(), *made_up]:
        call = Call(api, operation, prefer, kind)
        # A generated answer may break that contract, or have a time before Binance existed.
        if name == _MADE_UP and (call.violations("response") or call.has_impossible_time):
            continue
        fault = call.problem or (
            _uncorrected(call)
            if operation is SERVER_TIME
            else _unreported(call, int(code), promised)
        )
        if fault:
            found.setdefault(fault, []).append(name)
            if name == _MADE_UP:
                break
    for fault, (first, *others) in found.items():
        yield f"{first}{f' and {len(others)} more' if others else ''}: {fault}"


def _unreported(call: Call, code: int, promised: Any) -> str | None:
    """What today's contract promises about an answer, but the client does not report."""
    error, refusal = call.error, call.refusal
    if (error is not None) if code == 200 else getattr(refusal, "status_code", None) != code:
        return f"{type(error).__name__}: {error}"
    if refusal is not None and "application/json" in promised["content"]:
        body = call.body
        for name, reported in (("code", refusal.code), ("msg", refusal.msg)):
            if name not in body:
                return f"{name}: missing"
            if body[name] != reported:
                return f"{name}: the client cannot read {body[name]!r}"
    for name in promised.get("headers", {}):
        attribute = _HEADERS[name]
        # The client reports only the weight of `list_coins`; an error reports that of its call.
        if attribute == "used_weight" and refusal is None and call.operation is not LIST_COINS:
            continue
        if attribute and getattr(refusal or call, attribute) is None:
            value = call.response.headers.get(name)
            return f"header {name}: " + (
                f"the client cannot read {value!r}" if value else "missing"
            )
    return None


def _uncorrected(call: Call) -> str | None:
    """Why the client could not correct its clock."""
    if call.error is not None:
        return f"{type(call.error).__name__}: {call.error}"
    server_time = int(call.body["serverTime"])
    if abs(call.timestamps[-1] - server_time) > _CORRECTED:
        return f"the server time is {server_time}, but the clock was set to {call.timestamps[-1]}"
    return None


def regenerating(contract: Path) -> str:
    """Text: which files of the wire client change if it is generated from `contract`."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "package")
        try:
            generate(package, contract)
        except RuntimeError as error:
            return f"Regenerating would fail: {' '.join(str(error).split())}"
        # openapi.json is a copy of the contract, not code.
        changed = [name for name in differences(PACKAGE, package) if name != "openapi.json"]
    return f"Regenerating would change {', '.join(changed) or 'nothing'}"


# Errors of contracts that break OpenAPI's rules, or that Prism cannot serve.
_UNUSABLE = (UnusableError, ValueError, TypeError, AttributeError, LookupError, RuntimeError)


def _in_one_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    # The last line of Prism's output is the reason.
    last = str(error).strip().rpartition("\n")[2]
    return " ".join((last if isinstance(error, RuntimeError) else str(error)).split())


def main(path: Path) -> int:
    """Returns 0 if the client survives, 1 if it does not, 2 if `path` is not usable."""
    try:
        contract = read(path)
        with tempfile.TemporaryDirectory() as folder:
            # Prism serves what was checked, whatever its own reader would find in the file.
            served = Path(folder, "contract.json")
            served.write_text(json.dumps(contract, default=float, allow_nan=False), "utf-8")
            with prisms(served) as (url,), httpx.HTTPTransport(trust_env=False) as http:
                broken = list(breaks(Api(contract, url, http)))
    except _UNUSABLE as error:
        say(f"{path} is not a usable OpenAPI 3 contract: {_in_one_line(error)}", sys.stderr)
        return 2
    for line in broken:
        say(f"BREAKS: {line}")
    if not broken:
        say("survives")
    say(regenerating(path))
    return 1 if broken else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    # The client would report each correction of its clock.
    logging.disable()
    sys.exit(main(Path(sys.argv[1])))
