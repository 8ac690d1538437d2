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
from tools.contract import LIST_PATH, OPENAPI_YAML, TIME_PATH, load
from tools.operations import LIST_COINS, LIST_EXCHANGES
from tools.prism import NODE, prisms

Change = Callable[[Any], object]
WEIGHT, BUDGET = LIST_COINS.generated.weight, LIST_COINS.generated.weight_per_minute or 0
OTHER = "UID" if LIST_COINS.generated.limiter == "IP" else "IP"
USED = str(LIST_COINS.generated.weight_header)


def _get(contract: Any) -> Any:
    return contract["paths"][LIST_PATH]["get"]


def _ok(contract: Any) -> Any:
    return _get(contract)["responses"]["200"]


def _media(contract: Any) -> Any:
    return _ok(contract)["content"]["application/json"]


def _coins(contract: Any) -> list[Any]:
    """Every coin of every example."""
    examples = _media(contract)["examples"].values()
    return [coin for example in examples for coin in example["value"]]


def _coin(contract: Any) -> Any:
    return contract["components"]["schemas"]["Coin"]


def _rename(mapping: Any, old: str, new: str) -> None:
    mapping[new] = mapping.pop(old)


def _rename_in_schema(schema: Any, old: str, new: str) -> None:
    _rename(schema["properties"], old, new)
    schema["required"] = [new if name == old else name for name in schema["required"]]


def _rename_everywhere(contract: Any) -> None:
    _rename_in_schema(_coin(contract), "principal", "principalAmount")
    for coin in _coins(contract):
        if "principal" in coin:
            _rename(coin, "principal", "principalAmount")


def _remove(contract: Any, field: str) -> None:
    del _coin(contract)["properties"][field]
    _coin(contract)["required"].remove(field)


def _retype(field: str, schema: Any) -> Change:
    return lambda contract: _coin(contract)["properties"].update({field: schema})


def _move(path: str) -> Change:
    return lambda contract: _rename(contract["paths"], path, path.replace("v", "v9", 1))


def _wrap(contract: Any) -> None:
    media = _media(contract)
    media["schema"] = {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": media["schema"]},
    }
    for example in media["examples"].values():
        example["value"] = {"rows": example["value"]}


def _errors(contract: Any, answer: str) -> Any:
    """The JSON of an answer, which then has an error schema of its own."""
    media = contract["components"]["responses"][answer]["content"]["application/json"]
    media["schema"] = deepcopy(contract["components"]["schemas"]["Error"])
    return media


def _rename_in_errors(answer: str, field: str) -> Change:
    def change(contract: Any) -> None:
        errors = _errors(contract, answer)
        _rename_in_schema(errors["schema"], field, f"error_{field}")
        for example in errors["examples"].values():
            _rename(example["value"], field, f"error_{field}")

    return change


def _parameter(name: str, required: bool, where: str = "query") -> Change:
    parameter = {"name": name, "in": where, "required": required, "schema": {"type": "string"}}
    return lambda contract: _get(contract)["parameters"].append(parameter)


def _scheme(scheme: str, **changes: str) -> Change:
    return lambda contract: contract["components"]["securitySchemes"][scheme].update(changes)


def _parameter_schema(parameter: str, **changes: Any) -> Change:
    return lambda contract: contract["components"]["parameters"][parameter]["schema"].update(
        changes
    )


def _drop(path: str, status: str) -> Change:
    return lambda contract: contract["paths"][path]["get"]["responses"].pop(status)


def _headers(answer: str) -> Callable[[Any], Any]:
    return lambda contract: contract["components"]["responses"][answer]["headers"]


def _time(contract: Any) -> Any:
    return contract["components"]["schemas"]["ServerTime"]


def _examples(answer: str) -> int:
    """The number of JSON examples that the contract has for an answer."""
    content = load()["components"]["responses"][answer]["content"]
    return len(content["application/json"]["examples"])


def _reworded(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: f"Now: {each}" if key == "description" else _reworded(each)
            for key, each in node.items()
        }
    return [_reworded(each) for each in node] if isinstance(node, list) else node


def _limit(**changes: Any) -> Change:
    named = {f"x-request-weight{key}".replace("_", "-"): value for key, value in changes.items()}
    return lambda contract: _get(contract).update(named)


def _reword_answer(contract: Any, answer: str) -> None:
    answers = contract["components"]["responses"]
    answers[answer] = _reworded(answers[answer])


# Each change, with a pattern of the line that must report it. Those with the same number share a
# contract, because none hides another.
BREAKING: dict[str, tuple[int, Change, str]] = {
    "a field is renamed": (0, _rename_everywhere, r"principal: missing"),
    "ten times the weight": (
        0,
        _limit(**{"": 10 * WEIGHT}),
        f"weight is {10 * WEIGHT} instead of",
    ),
    "half the budget": (
        0,
        _limit(_per_minute=BUDGET // 2),
        f"per-minute is {BUDGET // 2} instead of",
    ),
    "another limiter": (0, _limit(_by=OTHER), f"x-request-weight-by is {OTHER} instead of"),
    "429 of the time is dropped": (0, _drop(TIME_PATH, "429"), rf"{TIME_PATH}: 429 is no longer"),
    "msg is renamed": (0, _rename_in_errors("IpBanned", "msg"), r"418 banned .*: msg: missing"),
    "a field is removed only from the schema": (
        1,
        lambda c: _remove(c, "liabilityQty"),
        r"200 made up: .*liabilityQty: missing",
    ),
    "the used weight is renamed": (
        1,
        lambda c: _rename(_ok(c)["headers"], USED, "X-USED-WEIGHT"),
        rf"200 .*header {USED}: missing",
    ),
    "the host moves": (
        1,
        lambda c: c.update(servers=[{"url": "https://api.binance.com/v9"}]),
        r"https://api\.binance\.com is no longer",
    ),
    "a field is retyped only in the schema": (
        2,
        _retype("interest", {"type": "boolean"}),
        r"interest: expected a decimal, got a boolean",
    ),
    "the host of a path moves": (
        2,
        lambda c: c["paths"][LIST_PATH].update(servers=[{"url": "https://margin.binance.com"}]),
        rf"{LIST_PATH}: https://api\.binance\.com is no longer",
    ),
    "the host of an operation moves": (
        2,
        lambda c: c["paths"][TIME_PATH]["get"].update(servers=[{"url": "https://t.binance.com"}]),
        rf"{TIME_PATH}: https://api\.binance\.com is no longer",
    ),
    "a name may be null": (
        3,
        _retype("asset", {"type": ["string", "null"]}),
        r"asset: .*got null",
    ),
    "the time is in seconds, and has no example": (
        3,
        lambda c: (
            _time(c)["properties"]["serverTime"].update(minimum=1483228800, maximum=4102444800),
            c["paths"][TIME_PATH]["get"]["responses"]["200"]["content"]["application/json"].pop(
                "examples"
            ),
        ),
        rf"{TIME_PATH}: 200 serverTime: never between",
    ),
    "a field may be missing": (
        4,
        lambda c: _coin(c)["required"].remove("asset"),
        r"asset: missing",
    ),
    "code is renamed": (
        4,
        _rename_in_errors("BadRequest", "code"),
        # Generated answers have no code either.
        rf"400 malformedParameter and {_examples('BadRequest')} more: code: missing",
    ),
    "a quantity may be a boolean": (
        5,
        lambda c: _coin(c)["properties"]["liabilityQty"]["oneOf"].append({"type": "boolean"}),
        r"liabilityQty: .*got a boolean",
    ),
    "an error becomes a problem": (
        5,
        lambda c: c["components"]["responses"]["BadRequest"].update(
            content={
                "application/problem+json": {
                    "schema": {"type": "object", "properties": {"title": {"type": "string"}}}
                }
            }
        ),
        r"400 made up: code: missing",
    ),
    "serverTime is renamed only in the schema": (
        5,
        lambda c: _rename_in_schema(_time(c), "serverTime", "now"),
        rf"{TIME_PATH}: 200 made up: .*\$\.serverTime: missing",
    ),
    "the array is wrapped": (6, _wrap, r"expected an array, got an object"),
    "401 is dropped": (6, _drop(LIST_PATH, "401"), rf"{LIST_PATH}: 401 is no longer documented"),
    "5XX shrinks to 503": (
        6,
        lambda c: _rename(_get(c)["responses"], "5XX", "503"),
        rf"{LIST_PATH}: 5XX is no longer documented",
    ),
    "the content becomes XML": (
        7,
        lambda c: _rename(_ok(c)["content"], "application/json", "application/xml"),
        r"200 documented and 4 more: .*body is not JSON",
    ),
    "an error is wrapped": (
        7,
        lambda c: [
            example.update(value={"error": example["value"]})
            for example in c["components"]["responses"]["Unauthorized"]["content"][
                "application/json"
            ]["examples"].values()
        ],
        rf"401 malformedKey and {_examples('Unauthorized') - 1} more: code: missing",
    ),
    "Retry-After is renamed": (
        7,
        lambda c: _rename(_headers("IpBanned")(c), "Retry-After", "X-Retry-After"),
        r"418 banned .*: header Retry-After: missing",
    ),
    "the content becomes text": (
        8,
        lambda c: _rename(_ok(c)["content"], "application/json", "text/csv"),
        r"200 documented and 4 more: Prism: Cannot serialise",
    ),
    "code becomes a string only in the schema": (
        8,
        lambda c: _errors(c, "Unauthorized")["schema"]["properties"].update(
            code={"type": "string"}
        ),
        r"401 made up: code: the client cannot read '",
    ),
    "the time is signed": (
        8,
        lambda c: c["paths"][TIME_PATH]["get"].pop("security"),
        rf"{TIME_PATH}: the header parameter x-mbx-apikey is required",
    ),
    "a parameter is required": (9, _parameter("type", True), r"query parameter type is required"),
    "a header is required": (
        9,
        _parameter("X-Request-Id", True, "header"),
        r"header parameter x-request-id is required",
    ),
    "the timestamp is renamed": (
        9,
        lambda c: c["components"]["parameters"]["Timestamp"].update(name="requestTime"),
        r"query parameter requestTime is required",
    ),
    "recvWindow changes its letters": (
        9,
        lambda c: c["components"]["parameters"]["RecvWindow"].update(name="recvwindow"),
        r"query parameter recvWindow is not documented",
    ),
    "the header of the key is renamed": (
        9,
        _scheme("apiKey", name="X-API-KEY"),
        r"header parameter x-api-key is required",
    ),
    "the signature becomes a header": (
        10,
        _scheme("signature", **{"in": "header"}),
        r"header parameter signature is required",
    ),
    "a body is required": (
        11,
        lambda c: _get(c).update(
            requestBody={"required": True, "content": {"application/json": {}}}
        ),
        r"[Bb]ody",
    ),
    "recvWindow may be 6000 at most": (
        11,
        _parameter_schema("RecvWindow", maximum=6000),
        r"recvwindow must be <= 6000",
    ),
    "the method changes": (
        12,
        lambda c: _rename(c["paths"][LIST_PATH], "get", "post"),
        r"does not have \"get\" method",
    ),
    "the timestamp is in seconds": (
        12,
        _parameter_schema("Timestamp", maximum=9_999_999_999),
        r"timestamp must be <= 9999999999",
    ),
    "the path moves": (13, _move(LIST_PATH), rf"{LIST_PATH}: .*route .* hasn't been found"),
    "nothing is signed any more": (
        13,
        lambda c: c.update(security=[]),
        r"query parameter signature is not documented",
    ),
}

HARMLESS: dict[str, Change] = {
    "an optional field": _retype("note", {"type": "string"}),
    "a required field": lambda c: (
        _retype("rank", {"type": "integer"})(c),
        _coin(c)["required"].append("rank"),
        [coin.update(rank=1) for coin in _coins(c)],
    ),
    "an optional parameter": _parameter("asset", False),
    "a new example": lambda c: _media(c)["examples"].update(
        more={"value": [{**_coins(c)[0], "asset": "XRP"}]}
    ),
    "an example with an odd name": lambda c: _media(c)["examples"].update(
        {"more, or less; 100%": {"value": _coins(c)[:1]}}
    ),
    "another kind of content": lambda c: _ok(c).update(
        content={"text/csv": {"examples": {"csv": {"value": "ETH"}}}, **_ok(c)["content"]}
    ),
    "serverTime has no bounds": lambda c: _time(c)["properties"].update(
        serverTime={"type": "integer"}
    ),
    "a new success": lambda c: _get(c)["responses"].update({"204": {"description": "None."}}),
    "descriptions are reworded": lambda c: (
        c.update(paths=_reworded(c["paths"])),
        [
            c["components"]["responses"].update(
                {name: _reworded(c["components"]["responses"][name])}
            )
            for name in ("IpBanned", "ServerError")
        ],
    ),
    "a schema has another name": lambda c: (
        c["components"]["schemas"].update(Coin=_coin(c)),
        _media(c)["schema"].update(items={"$ref": "#/components/schemas/Coin"}),
    ),
    "a field of its own kind": lambda c: _retype(
        "parts", {"type": "array", "items": {"$ref": "#/components/schemas/Coin"}}
    )(c),
    "a host with a variable": lambda c: c.update(
        servers=[
            {"url": "https://{h}.binance.com", "variables": {"h": {"default": "api"}}},
        ]
    ),
    "an answer refers to another's": lambda c: _get(c)["responses"].update(
        {"403": {"$ref": f"#/paths/{TIME_PATH.replace('/', '~1')}/get/responses/403"}}
    ),
    "a new host": lambda c: c["servers"].insert(0, {"url": "https://api5.binance.com"}),
    "a string amount becomes a number": lambda c: (
        _retype("principal", {"type": "number"})(c),
        [coin.update(principal=0.25) for coin in _coins(c)],
    ),
    "401 becomes 4XX": lambda c: _get(c)["responses"].update(
        {"4XX": _get(c)["responses"].pop("401")}
    ),
    "recvWindow is required": lambda c: c["components"]["parameters"]["RecvWindow"].update(
        required=True
    ),
}


SURVIVED: dict[str, list[Change]] = {
    "nothing changes": [],
    "no examples": [lambda c: _media(c).pop("examples")],
    "everything": [*HARMLESS.values()],
}


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Api]]:
    """Every contract, served from one Node process."""
    folder = tmp_path_factory.mktemp("contracts")
    changes: dict[str, list[Change]] = {}
    for number, change, _ in BREAKING.values():
        changes.setdefault(str(number), []).append(change)
    contracts: dict[str, Any] = {}
    for name, each in [*changes.items(), *SURVIVED.items()]:
        contracts[name] = load()
        for change in each:
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
    ("number", "words"), [(n, w) for n, _, w in BREAKING.values()], ids=[*BREAKING]
)
def test_a_breaking_change_is_reported(
    found: Callable[[str], list[str]], number: int, words: str
) -> None:
    lines = found(str(number))
    assert any(re.search(words, line) for line in lines), lines


@pytest.mark.parametrize("contract", SURVIVED)
def test_harmless_changes_survive(found: Callable[[str], list[str]], contract: str) -> None:
    assert found(contract) == []


def test_the_used_weight_is_that_of_the_list(apis: dict[str, Api]) -> None:
    """`used_weight` of a client is not about other operations, even those counted by IP."""
    api = apis[str(BREAKING["the used weight is renamed"][0])]
    name = USED
    found = [
        _unreported(Call(api, operation, "code=200"), 200, {"headers": {name: {}}})
        for operation in (LIST_COINS, LIST_EXCHANGES)
    ]
    assert found == [f"header {name}: missing", None]


def _loop() -> str:
    contract = load()
    contract["components"]["schemas"]["Loop"] = {"$ref": "#/components/schemas/Loop"}
    _media(contract)["schema"]["items"] = {"$ref": "#/components/schemas/Loop"}
    return json.dumps(contract, default=float)


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


def _references() -> str:
    """A short contract that is long without references."""
    schemas = {
        f"S{n}": {"anyOf": [{"$ref": f"#/components/schemas/S{n + 1}"}] * 2} for n in range(40)
    }
    contract = load()
    contract["components"]["schemas"].update(schemas, S40={})
    _media(contract)["schema"]["items"] = {"$ref": "#/components/schemas/S0"}
    return json.dumps(contract, default=float)


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
        (_loop(), "refers to nothing in this file"),
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
        (_references(), "the references lead to more than 5000 values"),
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
    busy = [*NODE, "--eval", "require('fs').writeSync(1, 'busy'); for (;;);"]
    with running(*busy, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"busy"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == -signal.SIGKILL
