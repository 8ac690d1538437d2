"""`make check-spec SPEC=` reports variants that break the client, and passes harmless ones."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import running
from tools import check_spec
from tools.check_generated import PACKAGE
from tools.check_spec import Api, Call, _unreported, breaks, main, regenerating
from tools.contract import LIST_PATH, OPENAPI_YAML, TIME_PATH, load, today
from tools.operations import LIST_COINS, LIST_EXCHANGES
from tools.prism import NODE, prisms

Change = Callable[[Any], object]
WEIGHT = LIST_COINS.generated.weight
OTHER = "UID" if LIST_COINS.generated.limiter == "IP" else "IP"
USED = str(LIST_COINS.generated.weight_header)
JSON = "application/json"
HOST = "https://api.binance.com"
# Fields of a coin that are always there.
FIELD, *_, OTHER_FIELD = today()["components"]["schemas"]["Coin"]["required"]
ELSEWHERE = [{"url": "https://margin.binance.com"}]
_ALL = "200 documented and 4 more: "


# Short names of places in the contract. The keys of a place are separated by spaces.
_SHORT = {
    "list": f"paths {LIST_PATH} get",
    "time": f"paths {TIME_PATH} get",
    "ok": f"paths {LIST_PATH} get responses 200",
    "json": f"paths {LIST_PATH} get responses 200 content application/json",
    "coin": "components schemas Coin",
    "field": "components schemas Coin properties",
    "server-time": "components schemas ServerTime properties serverTime",
    "parameters": "components parameters",
    "answers": "components responses",
    "credentials": "components securitySchemes",
}


def _parent(contract: Any, place: str) -> tuple[Any, str]:
    """What contains a place, and the last key of the place."""
    first, *rest = place.split()
    *keys, last = [*_SHORT.get(first, first).split(), *rest]
    for key in keys:
        contract = contract[key]
    return contract, last


def _at(contract: Any, place: str) -> Any:
    parent, key = _parent(contract, place)
    return parent[key]


def _put(place: str, value: Any) -> Change:
    def change(contract: Any) -> None:
        parent, key = _parent(contract, place)
        parent[key] = value

    return change


def _drop(place: str) -> Change:
    def change(contract: Any) -> None:
        parent, key = _parent(contract, place)
        del parent[key]

    return change


def _rename(place: str, new: str) -> Change:
    def change(contract: Any) -> None:
        parent, key = _parent(contract, place)
        parent[new] = parent.pop(key)

    return change


def _rename_in_schema(place: str, old: str, new: str) -> Change:
    def change(contract: Any) -> None:
        schema = _at(contract, place)
        schema["properties"][new] = schema["properties"].pop(old)
        schema["required"] = [new if name == old else name for name in schema["required"]]

    return change


def _coins(contract: Any) -> list[Any]:
    """Every coin of every example."""
    examples = _at(contract, "json examples").values()
    return [coin for example in examples for coin in example["value"]]


def _rename_everywhere(contract: Any) -> None:
    _rename_in_schema("coin", FIELD, "renamed")(contract)
    for coin in _coins(contract):
        if FIELD in coin:
            coin["renamed"] = coin.pop(FIELD)


def _remove(contract: Any) -> None:
    _drop(f"field {OTHER_FIELD}")(contract)
    _at(contract, "coin required").remove(OTHER_FIELD)


def _own_schema(contract: Any, answer: str) -> str:
    """Gives an answer an error schema of its own. Returns the schema's place."""
    place = f"answers {answer} content application/json schema"
    _put(place, deepcopy(_at(contract, "components schemas Error")))(contract)
    return place


def _rename_in_errors(answer: str, field: str) -> Change:
    def change(contract: Any) -> None:
        _rename_in_schema(_own_schema(contract, answer), field, f"error_{field}")(contract)
        examples = _at(contract, f"answers {answer} content application/json examples")
        for name in examples:
            _rename(f"{name} value {field}", f"error_{field}")(examples)

    return change


def _make_code_a_string(contract: Any) -> None:
    place = _own_schema(contract, "Unauthorized")
    _put(f"{place} properties code", {"type": "string"})(contract)


def _parameter(name: str, where: str, required: bool) -> Change:
    parameter = {"name": name, "in": where, "required": required, "schema": {"type": "string"}}
    return lambda contract: _at(contract, "list parameters").append(parameter)


def _use_seconds(contract: Any) -> None:
    _at(contract, "server-time").update(minimum=1483228800, maximum=4102444800)
    _drop("time responses 200 content application/json examples")(contract)


def _examples(answer: str) -> int:
    """The number of JSON examples that the contract has for an answer."""
    return len(_at(today(), f"answers {answer} content application/json examples"))


def _reworded(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: f"Now: {each}" if key == "description" else _reworded(each)
            for key, each in node.items()
        }
    return [_reworded(each) for each in node] if isinstance(node, list) else node


def _reword(contract: Any) -> None:
    for place in ("paths", "answers IpBanned", "answers ServerError"):
        _put(place, _reworded(_at(contract, place)))(contract)


# Each change, with a pattern of the line that must report it. Those in one list share a contract,
# because none hides another.
BREAKING: list[list[tuple[str, Change, str]]] = [
    [
        ("a field is renamed", _rename_everywhere, f"{FIELD}: missing"),
        ("more weight", _put("list x-request-weight", 10 * WEIGHT), f"weight is {10 * WEIGHT} in"),
        ("less budget", _put("list x-request-weight-per-minute", 1), "per-minute is 1 instead of"),
        ("other limiter", _put("list x-request-weight-by", OTHER), f"weight-by is {OTHER} instead"),
        ("no 429", _drop("time responses 429"), f"{TIME_PATH}: 429 is no longer"),
        ("msg is renamed", _rename_in_errors("IpBanned", "msg"), "418 banned .*: msg: missing"),
    ],
    [
        ("a field only in examples", _remove, f"200 made up: .*{OTHER_FIELD}: missing"),
        ("used weight", _rename(f"ok headers {USED}", "X-USED"), f"200 .*header {USED}: missing"),
        ("the host moves", _put("servers", [{"url": f"{HOST}/v9"}]), f"{HOST} is no longer"),
    ],
    [
        ("a retyped field", _put("field interest", {"type": "boolean"}), "interest: .* a boolean"),
        ("a path moves", _put(f"paths {LIST_PATH} servers", ELSEWHERE), f"{LIST_PATH}: {HOST} is"),
        ("the time moves", _put("time servers", ELSEWHERE), f"{TIME_PATH}: {HOST} is no longer"),
    ],
    [
        ("null", _put("field asset type", ["string", "null"]), "asset: .*got null"),
        ("seconds, no example", _use_seconds, f"{TIME_PATH}: 200 serverTime: never between"),
    ],
    [
        ("optional", lambda c: _at(c, "coin required").remove("asset"), "asset: missing"),
        (
            "code is renamed",
            _rename_in_errors("BadRequest", "code"),
            # Generated answers have no code either.
            f"400 malformedParameter and {_examples('BadRequest')} more: code: missing",
        ),
    ],
    [
        (
            "a quantity may be a boolean",
            lambda c: _at(c, "field liabilityQty oneOf").append({"type": "boolean"}),
            "liabilityQty: .*got a boolean",
        ),
        (
            "an error becomes a problem",
            _put(
                "answers BadRequest content",
                {"application/problem+json": {"schema": {"type": "object"}}},
            ),
            "400 made up: code: missing",
        ),
        (
            "serverTime is renamed only in the schema",
            _rename_in_schema("components schemas ServerTime", "serverTime", "now"),
            rf"{TIME_PATH}: 200 made up: .*\$\.serverTime: missing",
        ),
    ],
    [
        ("no 5XX", _rename("list responses 5XX", "503"), f"{LIST_PATH}: 5XX is no longer"),
        ("XML", _rename("ok content application/json", "application/xml"), _ALL + ".* is not JSON"),
        (
            "Retry-After is renamed",
            _rename("answers IpBanned headers Retry-After", "X-Retry-After"),
            "418 banned .*: header Retry-After: missing",
        ),
    ],
    [
        ("text", _rename("ok content application/json", "text/csv"), _ALL + "Prism: Cannot serial"),
        ("a string", _make_code_a_string, "401 made up: code: the client cannot read '"),
        ("signed time", _drop("time security"), f"{TIME_PATH}: .* parameter x-mbx-apikey is req"),
    ],
    [
        ("a header", _parameter("X-Id", "header", True), "header parameter x-id is required"),
        ("timestamp", _put("parameters Timestamp name", "now"), "query parameter now is required"),
        ("letters", _put("parameters RecvWindow name", "recvwindow"), "recvWindow is not doc"),
        ("the key", _put("credentials apiKey name", "X-KEY"), "header parameter x-key is required"),
    ],
    [
        (
            "signature",
            _put("credentials signature in", "header"),
            "header parameter signature is required",
        )
    ],
    [
        ("a body", _put("list requestBody", {"required": True, "content": {JSON: {}}}), "[Bb]ody"),
        (
            "recvWindow may be 6000 at most",
            _put("parameters RecvWindow schema maximum", 6000),
            "recvwindow must be <= 6000",
        ),
    ],
    [
        ("POST", _rename("list", "post"), 'does not have \\"get\\" method'),
        (
            "the timestamp is in seconds",
            _put("parameters Timestamp schema maximum", 9_999_999_999),
            "timestamp must be <= 9999999999",
        ),
    ],
    [
        ("a path", _rename(f"paths {LIST_PATH}", "/v9"), f"{LIST_PATH}: .*route .* hasn't been"),
        ("unsigned", _put("security", []), "query parameter signature is not documented"),
    ],
]

HARMLESS: dict[str, Change] = {
    "an optional field": _put("field note", {"type": "string"}),
    "a required field": lambda c: (
        _put("field rank", {"type": "integer"})(c),
        _at(c, "coin required").append("rank"),
        [coin.update(rank=1) for coin in _coins(c)],
    ),
    "an optional parameter": _parameter("asset", "query", False),
    "a new example": lambda c: _put(
        "json examples more", {"value": [{**_coins(c)[0], "asset": "XRP"}]}
    )(c),
    "an example with an odd name": lambda c: _at(c, "json examples").update(
        {"more, or less; 100%": {"value": _coins(c)[:1]}}
    ),
    "another kind of content": lambda c: _put(
        "ok content", {"text/csv": {"examples": {"csv": {"value": "ETH"}}}, **_at(c, "ok content")}
    )(c),
    "serverTime has no bounds": _put("server-time", {"type": "integer"}),
    "a new success": _put("list responses 204", {"description": "None."}),
    "descriptions are reworded": _reword,
    "a schema has another name": lambda c: (
        _put("components schemas Debt", _at(c, "coin"))(c),
        _put("json schema items", {"$ref": "#/components/schemas/Debt"})(c),
    ),
    "a field of its own kind": _put(
        "field parts", {"type": "array", "items": {"$ref": "#/components/schemas/Coin"}}
    ),
    "a host with a variable": _put(
        "servers", [{"url": "https://{h}.binance.com", "variables": {"h": {"default": "api"}}}]
    ),
    "an answer refers to another's": _put(
        "list responses 403",
        {"$ref": f"#/paths/{TIME_PATH.replace('/', '~1')}/get/responses/403"},
    ),
    "a new host": lambda c: c["servers"].insert(0, {"url": "https://api5.binance.com"}),
    "a string amount becomes a number": lambda c: (
        _put("field principal", {"type": "number"})(c),
        [coin.update(principal=0.25) for coin in _coins(c)],
    ),
    "401 becomes 4XX": _rename("list responses 401", "4XX"),
    "recvWindow is required": _put("parameters RecvWindow required", True),
}
SURVIVED: dict[str, list[Change]] = {
    "nothing changes": [],
    "no examples": [_drop("json examples")],
    "everything": [*HARMLESS.values()],
}


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Api]]:
    """Every contract, served from one Node process."""
    folder = tmp_path_factory.mktemp("contracts")
    breaking = {str(n): [change for _, change, _ in each] for n, each in enumerate(BREAKING)}
    contracts: dict[str, Any] = {}
    for name, changes in {**breaking, **SURVIVED}.items():
        contracts[name] = load()
        for change in changes:
            change(contracts[name])
        text = json.dumps(contracts[name], default=float)
        (folder / f"{name}.json").write_text(text, "utf-8")
    files = [folder / f"{name}.json" for name in contracts]
    with prisms(*files) as urls, httpx.HTTPTransport() as http:
        served = zip(contracts.items(), urls, strict=True)
        yield {name: Api(contract, url, http) for (name, contract), url in served}


@pytest.fixture(scope="module")
def found(apis: dict[str, Api]) -> Callable[[str], list[str]]:
    """What breaks the client in a contract."""
    return cache(lambda name: list(breaks(apis[name])))


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        pytest.param(str(number), words, id=name)
        for number, changes in enumerate(BREAKING)
        for name, _, words in changes
    ],
)
def test_a_breaking_change_is_reported(
    found: Callable[[str], list[str]], contract: str, words: str
) -> None:
    lines = found(contract)
    assert any(re.search(words, line) for line in lines), lines


@pytest.mark.parametrize("contract", SURVIVED)
def test_harmless_changes_survive(found: Callable[[str], list[str]], contract: str) -> None:
    assert found(contract) == []


def test_the_used_weight_is_that_of_the_list(apis: dict[str, Api]) -> None:
    """`used_weight` of a client is not about other operations, even those counted by IP."""
    # In this contract the header has another name.
    api = apis["1"]
    found = [
        _unreported(Call(api, operation, "code=200"), 200, {"headers": {USED: {}}})
        for operation in (LIST_COINS, LIST_EXCHANGES)
    ]
    assert found == [f"header {USED}: missing", None]


def _edited(folder: Path, old: str, new: str) -> Path:
    path = folder / "other.yaml"
    path.write_text(OPENAPI_YAML.read_text("utf-8").replace(old, new), "utf-8")
    return path


def test_a_verdict_that_it_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A text of the other contract must not control the terminal.
    assert main(_edited(tmp_path, "name: timestamp", r'name: "time\e[31m"')) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == rf"BREAKS: {LIST_PATH}: the query parameter time\x1b[31m is required"
    assert said[-1].startswith("Regenerating would fail: ")


@pytest.fixture
def shared_node(apis: dict[str, Api], monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` calls the server of the unchanged contract instead of a Node process of its own."""
    url = apis["nothing changes"].url
    monkeypatch.setattr(check_spec, "prisms", lambda _: nullcontext([url]))


@pytest.mark.usefixtures("shared_node")
def test_a_verdict_that_it_survives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _edited(tmp_path, "operationId: list_coins", "operationId: coins")
    assert main(path) == 0
    assert capsys.readouterr().out == (
        "survives\nRegenerating would change operations/__init__.py, operations/coins.py,"
        " operations/list_coins.py\n"
    )

    def generate_again(package: Path, _: Path) -> None:
        shutil.copytree(PACKAGE, package)
        (package / "openapi.json").write_text("{}")

    monkeypatch.setattr(check_spec, "generate", generate_again)
    assert regenerating(path) == "Regenerating would change nothing"


def _get_with(value: str) -> str:
    return f"{{openapi: 3.1.0, paths: {{{LIST_PATH}: {{get: {{x: {value}}}}}}}}}"


_GET = f"#/paths/{LIST_PATH.replace('/', '~1')}/get"
_BOMB = "b0: &b0 [x, x]\n" + "".join(f"b{n + 1}: &b{n + 1} [*b{n}, *b{n}]\n" for n in range(40))


def _ref(schema: str) -> Any:
    return {"$ref": f"#/components/schemas/{schema}"}


def _items(schemas: dict[str, Any]) -> str:
    """A contract whose list has items of the first of `schemas`."""
    contract = load()
    contract["components"]["schemas"].update(schemas)
    _put("json schema items", _ref(next(iter(schemas))))(contract)
    return json.dumps(contract, default=float)


# A short contract that is long without references.
_REFERENCES = _items({f"S{n}": {"anyOf": [_ref(f"S{n + 1}")] * 2} for n in range(40)} | {"S40": {}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file or directory"),
        ("", "it has no paths, or another version"),
        ("[]", "it has no paths, or another version"),
        ("openapi: 3.1.0", "it has no paths, or another version"),
        ("{openapi: 3.1.0, paths: {}}", "it has no paths, or another version"),
        ("a: [", "line 2, column 1"),
        ("\x00", "control characters are not allowed"),
        (f"{{openapi: 3.1.0, paths: {{{LIST_PATH}: {{get: [1]}}}}}}", "'list' object has no"),
        (_items({"Loop": _ref("Loop")}), "refers to nothing in this file"),
        (_get_with("{$ref: '#/nothing'}"), "'nothing' is missing"),
        (_get_with("[{$ref: other.yaml}]"), f"{_GET}/x/0 refers to other.yaml, which is outside"),
        (_get_with("{$ref: /etc/passwd}"), f"{_GET}/x refers to /etc/passwd, which is outside"),
        (_get_with('{"\\x24ref": "http://x/"}'), f"{_GET}/x refers to http://x/, which is outside"),
        (_get_with(".inf"), ".inf is not a JSON number"),
        (_get_with(".nan"), ".nan is not a JSON number"),
        (_get_with("1:30.5"), "1:30.5 is not a JSON number"),
        (_get_with("010"), "010 is not a JSON number"),
        (_get_with("0x1F"), "0x1F is not a JSON number"),
        (_get_with("1e999"), "not JSON compliant"),
        (_get_with("!!binary aGk="), "could not convert"),
        ("[" * 100_000, "it is nested more than 200 deep"),
        ("{a: " * 100_000, "it is nested more than 200 deep"),
        ("- " * 100_000, "it is nested more than 200 deep"),
        (_BOMB, "it has more than 200000 values"),
        (_REFERENCES, "the references lead to more than 5000 values"),
        ("a: &a [*a]", "the alias a contains itself"),
        ("#" * (10 * 2**20 + 1), "it is larger than 10 MiB"),
    ],
    ids=lambda value: str(value)[-30:],
)
@pytest.mark.usefixtures("shared_node")
def test_without_a_contract_there_is_no_verdict(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    words: str,
) -> None:
    # Counting to the real limit takes a second.
    monkeypatch.setattr("tools.contract.MOST_VALUES", 5000)
    path = tmp_path / "other.yaml"
    if text is not None:
        path.write_text(text, "utf-8")
    assert main(path) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{path} is not a usable OpenAPI 3 contract: ")
    assert words in said
    assert said.count("\n") == 1


def test_what_prism_refuses_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("{openapi: 3.1.0, paths: {/x: {}}}", "utf-8")
    assert main(path) == 2
    words = f"{path} is not a usable OpenAPI 3 contract: No operations found in the current file."
    assert capsys.readouterr().err == f"{words}\n"


def test_node_ends_with_the_process_that_started_it_even_if_it_is_busy() -> None:
    waiting = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0)"
    busy = [*NODE, "--eval", f"require('fs').writeSync(1, 'busy'); {waiting}"]
    with running(*busy, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"busy"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == -signal.SIGKILL
