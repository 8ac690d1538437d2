"""No secret, API key or signature is shown anywhere: the tests search for canaries."""

import asyncio
import gc
import itertools
import logging
import pickle
import re
import ssl
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
import redis
from binance_small_liability import (
    AsyncSmallLiabilityClient,
    AuthenticationError,
    ConfigurationError,
    NetworkError,
    SmallLiabilityClient,
    SmallLiabilityError,
)
from binance_small_liability._io import real_time
from binance_small_liability._io.threads import run
from binance_small_liability._secrets import Hidden
from binance_small_liability.aiohttp import AiohttpTransport
from binance_small_liability.redis import RedisLimits

from tests.client.test_keys import ED25519
from tests.clients import RunClient, finished, interrupted
from tests.wire import (
    DOCUMENTED,
    Answer,
    Request,
    WireServer,
    closed,
    reset,
    response,
    serving,
    stalled,
)
from tools.contract import TIME_PATH
from tools.operations import LIST_COINS, OPERATIONS, Operation

Call = Callable[[Any], Any]

KEY = "CanaryKey0123456789"
SECRET = "CanarySecret0123456789"
SKEWED = response({"code": -1021, "msg": "Late."}, 400)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # From the environment, so that the frames of the tests do not contain them.
    monkeypatch.setenv("BINANCE_API_KEY", KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", SECRET)
    monkeypatch.delenv("BINANCE_PRIVATE_KEY_FILE", raising=False)
    with real_time.skipping():
        yield


class Records(logging.Handler):
    """Keeps the records of every logger at every level."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


@pytest.fixture
def records() -> Iterator[Records]:
    handler = Records()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


async def _searched(client: Any, call: Call) -> list[Any]:
    """The objects to search after a call: the client, and the error if there is one."""
    try:
        return [client, await finished(call(client))]
    except SmallLiabilityError as error:
        return [client, error]


def _call_sync(call: Call, **options: Any) -> list[Any]:
    with SmallLiabilityClient.from_env(**options) as client:
        return run(_searched(client, call))


def _call_async(call: Call, **options: Any) -> list[Any]:
    async def searched() -> list[Any]:
        async with AsyncSmallLiabilityClient.from_env(**options) as client:
            return await _searched(client, call)

    return asyncio.run(searched())


def _call_aiohttp(call: Call, **options: Any) -> list[Any]:
    return _call_async(call, transport=AiohttpTransport(), **options)


def _echo(request: Request) -> str:
    """Everything in a request that an answer may repeat."""
    return f"{request.target} {request.header('X-MBX-APIKEY')}"


def _named(request: Request) -> str:
    """Only key and signature, for names."""
    return f"{request.header('X-MBX-APIKEY')}{request.query[-1][1]}"


class _Late:
    """Fails once, and then repeats the first request."""

    first: str | None = None

    def __call__(self, request: Request) -> Answer:
        first, self.first = self.first, None if self.first else _echo(request)
        return response({"code": -1, "msg": first}, 400 if first else 503)


ANSWERS: dict[str, Callable[[Request], Answer]] = {
    "success": lambda _: response(),
    "a new field": lambda _: response(DOCUMENTED.replace(b"[{", b'[{"new":1,')),
    "no JSON": lambda _: response(b"<html>"),
    "broken contract": lambda _: response([{}]),
    "refusal": lambda _: response({"code": -1022, "msg": "Wrong."}, 400),
    "ban": lambda _: response({"code": -1003, "msg": "Banned."}, 418, {"Retry-After": "100"}),
    "limit": lambda _: response({"code": -1003, "msg": "Slow."}, 429, {"Retry-After": "1"}),
    "server error": lambda _: response(b"<html>", 520),
    "reset": lambda _: reset(),
    "silence": lambda _: stalled(),
    "clock": lambda request: response({}) if request.path == TIME_PATH else SKEWED,
}
# Answers that repeat the request.
ECHOES: dict[str, Callable[[Request], Answer]] = {
    "in msg": lambda r: response({"code": -1, "msg": _echo(r)}, 400),
    "decoded, in msg": lambda r: response({"code": -1, "msg": r.query[-1][1]}, 400),
    "in a redirect": lambda r: response(b"", 302, {"Location": f"https://evil.example{r.target}"}),
    "in a header": lambda r: response({"code": -1, "msg": "x"}, 403, {"X-Echo": _echo(r)}),
    "in HTML": lambda r: response(_echo(r).encode(), 502, content_type="text/html"),
    "in no JSON": lambda r: response(_echo(r).encode()),
    "in an asset": lambda r: response(
        DOCUMENTED.replace(b'"0.001"', f'"{quote(_echo(r))}"'.encode())
    ),
    "instead of HTTP": lambda r: closed(_echo(r).encode() + b"\r\n\r\n"),
    "in a status line": lambda r: closed(b"HTTP/1.1 2OO " + _echo(r).encode() + b"\r\n\r\n"),
    "as an encoding": lambda r: response(b"x", headers={"Content-Encoding": "gzip", "X": _echo(r)}),
    "in a reason": lambda r: closed(
        f"HTTP/1.1 400 {_echo(r)}\r\nContent-Length: 0\r\n\r\n".encode()
    ),
    "in a cookie": lambda r: response({}, 400, {"Set-Cookie": f"a={_echo(r)}"}),
    "with a ban": lambda r: response({"code": -1003, "msg": _echo(r)}, 418, {"Retry-After": "99"}),
    "as a field": lambda r: response(DOCUMENTED.replace(b"[{", f'[{{"{_named(r)}":1,'.encode())),
    "as a header": lambda r: response({}, 400, {f"X-{_named(r)}": "1"}),
    "encoded twice": lambda r: response({"code": -1, "msg": quote(quote(_echo(r)))}, 400),
    "encoded in part": lambda r: response(
        {}, 400, {"X": r.target.replace("%2F", "/").replace("%2B", "%2b").replace("%3D", "=")}
    ),
    "in capitals": lambda r: response({"code": -1, "msg": _echo(r).upper()}, 400),
    "of the attempt before": _Late(),
}


def _searches() -> Iterator[Any]:
    """Every transport with one operation, and every operation with one transport."""
    turn = itertools.cycle((_call_sync, _call_async, _call_aiohttp))
    for operation in OPERATIONS:
        for kind, answers in (("HMAC", ANSWERS), ("HMAC", ECHOES), ("Ed25519", ECHOES)):
            for calling in itertools.islice(turn, 3 if operation is LIST_COINS else 1):
                name = "echoes" if answers is ECHOES else "answers"
                case_id = f"{operation.name}-{calling.__name__}-{kind}-{name}"
                yield pytest.param(operation, calling, kind, answers, id=case_id)


@pytest.mark.parametrize(("operation", "calling", "kind", "answers"), [*_searches()])
def test_no_canary_is_found(
    operation: Operation,
    calling: Callable[..., list[Any]],
    kind: str,
    answers: dict[str, Callable[[Request], Answer]],
    records: Records,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "Ed25519":
        file = tmp_path / "key.pem"
        file.write_text(ED25519)
        monkeypatch.delenv("BINANCE_API_SECRET")
        monkeypatch.setenv("BINANCE_PRIVATE_KEY_FILE", str(file))
    for name, answer in answers.items():
        records.kept.clear()
        with serving(answer) as server:
            timeout = 0.5 if name == "silence" else 30
            options = {"base_url": server.url, "timeout": timeout, "max_attempts": 2}
            found = calling(operation.call, **options)
        canaries = {KEY, SECRET}
        if operation.generated.signed:
            canaries |= _signatures(server)
        assert records.kept, "nothing was logged, so nothing was searched"
        for record in records.kept:
            # httpcore's debug records contain the headers of answers, which may repeat anything.
            if answers is ANSWERS or not record.name.startswith("httpcore"):
                _assert_clean(canaries, name, _texts_of_record(record))
        for thing in found:
            _assert_clean(canaries, name, _texts_of(thing))


def _signatures(server: WireServer) -> set[str]:
    signatures = {dict(request.query).get("signature", "") for request in server.requests} - {""}
    assert signatures
    return signatures


def _assert_clean(canaries: set[str], name: str, texts: Iterator[str]) -> None:
    plain = {_plain(canary) for canary in canaries}
    for text in texts:
        for canary in plain:
            assert canary not in _plain(text), f"{name}: found in {text[:300]!r}"


def _plain(text: str) -> str:
    return unquote(unquote(unquote(text))).casefold()


def _texts_of_record(record: logging.LogRecord) -> Iterator[str]:
    yield record.getMessage()
    yield repr(vars(record))
    for argument in record.args if isinstance(record.args, tuple) else ():
        yield from _texts_of(argument)
    if record.exc_info and record.exc_info[1]:
        yield from _texts_of(record.exc_info[1])


def _texts_of(thing: object) -> Iterator[str]:
    yield str(thing)
    yield from _reachable(thing, set())
    if isinstance(thing, BaseException):
        yield pickle.dumps(thing).decode("latin-1")
        trace = traceback.TracebackException.from_exception(thing, capture_locals=True)
        yield from trace.format()
        yield from _reachable([thing.__cause__, thing.__context__], set())


def _reachable(thing: object, seen: set[int]) -> Iterator[str]:
    """The reprs of everything reachable through `vars()` and containers."""
    if id(thing) in seen or isinstance(thing, type | logging.Logger):
        return
    seen.add(id(thing))
    yield repr(thing)
    if isinstance(thing, dict | httpx.Headers):
        children = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset):
        children = list(thing)
    else:
        children = list(getattr(thing, "__dict__", {}).values())
    for child in children:
        yield from _reachable(child, seen)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BINANCE_API_KEY", f"{KEY} "),
        ("BINANCE_API_SECRET", f"{SECRET}\n"),
        ("BINANCE_PRIVATE_KEY_FILE", "/nonexistent"),
    ],
)
def test_wrong_configuration_shows_nothing(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    del value
    with pytest.raises(ConfigurationError) as caught:
        SmallLiabilityClient.from_env()
    _assert_clean({KEY, SECRET}, "configuration", _texts_of(caught.value))


def test_wrong_arguments_show_nothing() -> None:
    pem = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"
    for make in (
        lambda: AiohttpTransport(proxy=f"socks5://{SECRET}@host"),
        lambda: SmallLiabilityClient(
            api_key=KEY, api_secret=SECRET, base_url="http://[::1]", proxy=f"http://{SECRET}@host"
        ),
        lambda: SmallLiabilityClient(api_key=KEY, api_secret=f"{SECRET}\n"),
        lambda: SmallLiabilityClient(api_key=f"{KEY}\n", api_secret=SECRET),
        lambda: SmallLiabilityClient(api_key=KEY, private_key=pem),
        lambda: SmallLiabilityClient(api_key=KEY, private_key=pem, private_key_password=SECRET),
        lambda: SmallLiabilityClient(api_key=KEY, api_secret=SECRET, timeout=-1),
        lambda: SmallLiabilityClient(
            api_key=KEY, api_secret=SECRET, proxy=f"nonsense://{SECRET}@host"
        ),
        lambda: SmallLiabilityClient(api_key=KEY, api_secret=SECRET, transport=1),
        lambda: RedisLimits(f"redis://:{SECRET}@host", scope=""),
        lambda: RedisLimits(f"odd://:{SECRET}@host"),
        lambda: AsyncSmallLiabilityClient(
            api_key=KEY, api_secret=SECRET, limits=RedisLimits(redis.Redis(password=SECRET))
        ),
    ):
        with pytest.raises(ConfigurationError) as caught:
            make()
        frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        del frames.stack[:2]  # this one, and the lambda
        _assert_clean({KEY, SECRET}, "arguments", frames.format())
        _assert_clean({KEY, SECRET}, "arguments", iter([str(caught.value)]))


def test_a_short_key_is_not_redacted_within_words() -> None:
    refusal = response({"code": -2015, "msg": "Invalid API-key."}, 401)
    with (
        serving(refusal) as server,
        SmallLiabilityClient(api_key="key", api_secret="a", base_url=server.url) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.list_coins()
    assert caught.value.msg == "Invalid API-key."


def _locals(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for value in frame.f_locals.values():
                with suppress(AttributeError):  # an object that is not complete
                    yield repr(value)
        error = error.__context__


# What the interrupted line would have closed, awaited, or run is left to the garbage collection.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_an_interruption_at_any_line_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def call() -> None:
        with client:
            client.list_coins()

    with serving(ECHOES["in msg"]) as server:
        monkeypatch.setenv("BINANCE_PROXY", server.url.replace("//", f"//user:{SECRET}@"))
        interruptions = 0
        for lines in itertools.count(1, 7):
            client = SmallLiabilityClient.from_env(base_url="http://localhost:9", max_attempts=1)
            error = interrupted(call, lines)
            if not isinstance(error, KeyboardInterrupt):
                break
            interruptions += 1
            texts = list(_locals(error))
            _assert_clean({KEY, SECRET}, f"line {lines}", iter(texts))
            assert not re.search("[0-9a-f]{64}", str(texts)), "a signature"
    assert interruptions > 50
    del error
    gc.collect()


def test_a_proxy_over_tls_whose_tunnel_fails_shows_no_password(
    client: RunClient, tls_server: ssl.SSLContext
) -> None:
    with serving(lambda _: closed(b"HTTP/1.1 200 OK\r\n\r\nno TLS"), tls_server) as server:
        proxy = Hidden(server.url.replace("//", f"//user:{SECRET}@"))
        with pytest.raises(NetworkError) as caught:
            client(
                lambda c: c.list_coins(),
                base_url="https://api.example",
                proxy=proxy.reveal(),
                max_attempts=1,
            )
    assert server.requests[0].method == "CONNECT"
    basic = b64encode(f"user:{SECRET}".encode()).decode()
    shown = [str(caught.value), pickle.dumps(caught.value).decode("latin-1")]
    shown += _reachable([caught.value, caught.value.__cause__], set())
    _assert_clean({SECRET, basic}, "a tunnel", iter(shown))


@pytest.mark.parametrize("kind", ["httpx", "aiohttp"])
def test_a_call_that_is_cancelled_shows_nothing(
    kind: str, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled_after(steps: int, proxy: Hidden) -> BaseException:
        transport = AiohttpTransport(proxy=proxy.reveal()) if kind == "aiohttp" else None
        async with AsyncSmallLiabilityClient.from_env(
            base_url="http://localhost:9", transport=transport
        ) as client:
            task = asyncio.create_task(client.list_coins())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    answers = itertools.cycle([b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n["])
    with serving(lambda _: stalled(next(answers))) as server:
        proxy = Hidden(server.url.replace("//", f"//user:{SECRET}@"))
        monkeypatch.setenv("BINANCE_PROXY", proxy.reveal())
        basic = b64encode(f"user:{SECRET}".encode()).decode()
        for steps in range(1, 40):
            error = asyncio.run(cancelled_after(steps, proxy))
            texts = traceback.TracebackException.from_exception(error, capture_locals=True)
            _assert_clean({KEY, SECRET, basic}, f"cancelled after {steps}", texts.format())
        gc.collect()  # aiohttp logs connections that were not closed
    for record in records.kept:
        _assert_clean({KEY, SECRET, basic}, "a log record", _texts_of_record(record))
