"""`make adopt-page` puts what a page says into the contract, and changes nothing else."""

import difflib
import importlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from tests.tools import page_changes, random_pages
from tests.tools.page_changes import COINS, EXCHANGE, HISTORY, PAGES, changed
from tools.adopt_page import adopt, main
from tools.adoption import RefusedError
from tools.check_generated import PACKAGE
from tools.comparison import endpoint_of
from tools.contract import LIST_PATH, OPENAPI_YAML, ROOT, TIME_PATH, inlined, loaded, operations
from tools.page import read_pages
from tools.sections import read
from tools.yaml_edits import Document

TEXT = page_changes.contract()
# More than the suite tries were tried by hand.
SEEDS = 6
UNCERTAIN = "contract cannot express|every signed request has it|exclude each other"
NEW_PAGES = [str(page) for page in (Path(__file__).parent / "new_pages").iterdir()]


@pytest.fixture(scope="module")
def generator() -> Any:
    return importlib.import_module("generated.generate")


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for contracts that keep the rules of `make lint`. It is checked once, at the end."""
    folder = tmp_path_factory.mktemp("contracts")
    yield folder
    lint = ROOT / "node_modules/.bin/redocly", "lint", "--config", ROOT / "redocly.yaml"
    subprocess.run([*lint, *folder.iterdir()], check=True)


def _page(folder: Path, parts: random_pages.Parts) -> str:
    """The name of a page."""
    (folder / "page").write_text(random_pages.markdown(parts), "utf-8")
    return str(folder / "page")


def _adopted(name: str, text: str = TEXT) -> str:
    """The contract after a page was adopted.

    The page and the contract then agree, because a second time nothing changes. All comments stay,
    and the text and the meaning of other operations.
    """
    new, _ = adopt(text, [name])
    assert adopt(new, [name]) == (new, [])
    target = endpoint_of(read_pages(read(name)))
    before, after = ({**_operations(each), target: None} for each in (text, new))
    assert before == after
    assert _comments(new) == _comments(text)
    return new


def _comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.lstrip().startswith("#")]


@cache
def _operations(text: str) -> dict[tuple[str, str], Any]:
    """Text and meaning of each operation."""
    contract, root, found = loaded(text), yaml.compose(text, yaml.CSafeLoader), {}
    assert root is not None
    for path, item in next(value for key, value in root.value if key.value == "paths").value:
        for method, node in item.value:
            meaning = inlined(contract, contract["paths"][path.value][method.value])
            whole = text[node.start_mark.index : node.end_mark.index].rstrip()
            found[method.value.upper(), path.value] = whole, meaning
    return found


def test_pages_that_agree_change_nothing() -> None:
    assert adopt(TEXT, [str(page) for page in PAGES.iterdir()]) == (TEXT, [])


def _together() -> list[tuple[str, str]]:
    """Names and texts of pages, each with up to four changes of different things.

    A page of another method or path has no other change, because it becomes a new operation.
    """
    refused = {each[:3] for each in REFUSED}
    packs: list[tuple[str, str, set[str]]] = []
    for page, old, new, line in (each for each in page_changes.VARIANTS if each[:3] not in refused):
        thing = line.partition(":")[0]
        for pack in packs:
            name, text, things = pack
            is_free = thing not in things and not {"method", "path"} & {thing, *things}
            if name == page and old in text and len(things) < 4 and is_free:
                packs.remove(pack)
                break
        else:
            text, things = (PAGES / page).read_text("utf-8"), set()
        packs.append((page, text.replace(old, new), {*things, thing}))
    return [pack[:2] for pack in packs]


def test_each_change_of_a_page_is_adopted(generator: Any, contracts: Path, tmp_path: Path) -> None:
    pages = _together()
    by_endpoint = [
        [each for each in pages if each[0].startswith(endpoint)]
        for endpoint in ("coin-list", "exchange", "history")
    ]
    # A page of each endpoint at a time, because each contract takes time.
    for number, some in enumerate(zip_longest(*by_endpoint)):
        names = []
        for page, text in filter(None, some):
            (tmp_path / page).write_text(text, "utf-8")
            names.append(str(tmp_path / page))
        new, _ = adopt(TEXT, names)
        assert adopt(new, names) == (new, [])
        generator.Contract(loaded(new))
        (contracts / f"change-{number}.yaml").write_text(new, "utf-8")


def test_changes_by_chance_are_adopted_one_after_another(
    generator: Any, contracts: Path, tmp_path: Path
) -> None:
    today, refused = OPENAPI_YAML.read_text("utf-8"), 0
    contract = loaded(today)
    for seed in range(SEEDS):
        by, text = Random(seed), today
        known_page = random_pages.said_by(contract, *by.choice([*operations(contract)]))
        parts = by.choice([known_page, random_pages.newer(by)])
        for _ in range(2):
            parts = random_pages.changed(parts, by)
            try:
                text = _adopted(_page(tmp_path, parts), text)
            except RefusedError as error:
                assert re.search(UNCERTAIN, str(error))  # noqa: PT017
                refused += 1
        generator.Contract(loaded(text))
        (contracts / f"chance-{seed}.yaml").write_text(text, "utf-8")
    assert refused < SEEDS / 2


REFUSED = [
    (COINS, "GET <code>", "POST <code>", "but otherwise describes GET /sapi/v1/margin"),
    ("coin-list-chinese.md", "GET `", "POST `", "but otherwise describes GET /sapi/v1/margin/"),
    ("exchange.html", "Once within", "Twice within", "rule once-in-hours: Twice within 6"),
    ("coin-list-one-line.md", "“0.001”", "[]", "principal: array on the page, decimal string"),
    (COINS, "<td>timestamp", "<td>timeStamp", "but every signed request has it"),
    (EXCHANGE, "assetNames| ARRAY", "assetNames| QUBIT", "the type QUBIT is unknown"),
    (EXCHANGE, "(MARGIN)", "(KEYLESS)", "the security type KEYLESS is unknown"),
    (EXCHANGE, "3000(UID)", "3000(UID and IP)", "the weight is counted by IP or UID"),
    (EXCHANGE, "3000(UID)", "0.5(UID)", "the request weight 0.5 is no whole number"),
    (HISTORY, "Max:100", "Max:9", "parameter size: its bounds exclude each other"),
    (HISTORY, "GET `", "GET `/sapi/v1/other` or GET `", "the page has several endpoints"),
    (HISTORY, "size| INT", "current| LONG", "parameter current: the page says INT or LONG"),
    (HISTORY, '"bizType"', '"$ref"', "response: a field with the name $ref would be a reference"),
    (HISTORY, '"total": 1', '"total": NaN', "cannot be read: the example: NaN is not JSON"),
    (HISTORY, '"ETH"', '"\\ud800"', "it cannot be written: "),
    (HISTORY, '"total": 1', '"total" 1', "cannot be read: the example: Expecting ':'"),
]


@pytest.mark.parametrize(("page", "old", "new", "reason"), REFUSED)
def test_what_is_not_certain_is_refused(
    page: str, old: str, new: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=re.escape(reason)):
        adopt(TEXT, [changed(page, old, new, -1, tmp_path)])


def test_languages_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    for page, old, new, _ in page_changes.CONTRADICTIONS:
        with pytest.raises(RefusedError, match="its languages contradict each other: "):
            adopt(TEXT, [changed(page, old, new, 1, tmp_path)])


def test_edits_are_the_smallest(tmp_path: Path) -> None:
    tier = "ETH&quot;, &quot;tier&quot;: "
    is_new = "+- Whether `response [].tier` is always sent, and its type."
    no_type = "+reason: The contract cannot express what the example shows."
    for old, new, edits in (
        ("<strong>100<", "<strong>200<", ["-x-request-weight: 100", "+x-request-weight: 200"]),
        (
            *("ETH&quot;", f"{tier}7"),
            [is_new, "+tier: 7", "+tier:", "+type: integer", "+format: int64"],
        ),
        ("ETH&quot;", f"{tier}[]", ["+- where: response [].tier", "+page: [array]", no_type]),
    ):
        text, _ = adopt(TEXT, [changed(COINS, old, new, -1, tmp_path)])
        diff = difflib.unified_diff(TEXT.splitlines(), text.splitlines(), lineterm="", n=0)
        found = [line[:1] + line[1:].strip() for line in [*diff][2:] if line[0] in "+-"]
        assert [edit for edit in found if edit != "+x-unknown:"] == edits


def test_a_security_type_decides_about_signature_and_status_401(tmp_path: Path) -> None:
    before, text = loaded(TEXT), TEXT
    for path, kind in ((TIME_PATH, "USER_DATA"), (LIST_PATH, "NONE")):
        parts = random_pages.said_by(before, "GET", path) | {"security": kind, "parameters": []}
        text = _adopted(_page(tmp_path, parts), text)
    after = loaded(text)
    for path, other in ((TIME_PATH, LIST_PATH), (LIST_PATH, TIME_PATH)):
        new, old = (each["paths"][at]["get"] for each, at in ((after, path), (before, other)))
        assert list(new["responses"]) == list(old["responses"])
        assert new.get("security") == old.get("security")


def test_each_guess_is_reported_for_each_operation(tmp_path: Path) -> None:
    pages = []
    for name in ("newer", "newest"):
        parts = random_pages.newer(Random(0)) | {"title": name, "endpoint": f"GET /sapi/v1/{name}"}
        (tmp_path / name).mkdir()
        pages.append(_page(tmp_path / name, parts))
    _, lines = adopt(TEXT, pages)
    guesses = [line for line in lines if ": unknown: The budget" in line]
    assert [guess.partition(":")[0] for guess in guesses] == pages


def test_no_example_shows_what_the_contract_cannot_express(tmp_path: Path) -> None:
    parts = random_pages.said_by(loaded(TEXT), "GET", LIST_PATH)
    parts["example"][0]["principal"] = [{"tier": 1, "unclear": []}]
    text = _adopted(_page(tmp_path, parts))
    assert text.count("- tier: 1\n") > 1
    assert "unclear: []" not in text


def test_a_component_that_others_use_is_copied(tmp_path: Path) -> None:
    shared = loaded(TEXT)
    newer = deepcopy(shared["paths"][LIST_PATH]["get"]) | {"operationId": "newer_things"}
    shared["paths"]["/sapi/v1/margin/newer"] = {"get": newer}
    parts = random_pages.said_by(shared, "GET", "/sapi/v1/margin/newer")
    parts["example"][0]["tier"] = "A"
    text = Document(TEXT).edited(shared).text
    schemas = loaded(_adopted(_page(tmp_path, parts), text))["components"]["schemas"]
    assert schemas["Coin"] == loaded(TEXT)["components"]["schemas"]["Coin"]
    copied, original = (schemas[name]["properties"] for name in ("NewerThingsCoin", "Coin"))
    assert copied == original | {"tier": {"type": "string"}}


@pytest.mark.parametrize(
    ("page", "old", "new", "name", "lines"),
    [
        (
            *(COINS, "/margin/exchange-small-liability<", "/margin/small-liabilities<"),
            *("list_coins", ["", "  /sapi/v1/margin/small-liabilities:"]),
        ),
        (
            *(HISTORY, "exchange-small-liability-history`", "small-liabilities`"),
            *("list_exchanges", ["  /sapi/v1/margin/small-liabilities:"]),
        ),
        (HISTORY, "GET `", "PUT `", "list_exchanges", ["    put:"]),
    ],
)
def test_an_operation_moves_with_its_comments(
    page: str, old: str, new: str, name: str, lines: list[str], tmp_path: Path
) -> None:
    moving = changed(page, old, new, -1, tmp_path)
    options = {"replaces": name, "source": "https://example.org/page"}
    text, _ = adopt(TEXT, [moving], **options)
    added = [*(Counter(text.splitlines()) - Counter(TEXT.splitlines())).elements()]
    assert sorted(added) == sorted([*lines, "        url: https://example.org/page"])
    assert adopt(text, [moving], **options) == (text, [])


def test_options_that_do_not_fit_are_refused() -> None:
    page, other = str(PAGES / COINS), str(PAGES / HISTORY)
    for pages, options, reason in (
        ([page], {"replaces": "lists_coin"}, "known: list_coins, exchange, list_exchanges"),
        ([page], {"replaces": "exchange"}, f"REPLACES=exchange, but GET {LIST_PATH} is list_coins"),
        ([page, other], {"replaces": "list_coins"}, "REPLACES and SOURCE are facts of one page"),
        ([page, other], {"source": "https://x"}, "REPLACES and SOURCE are facts of one page"),
    ):
        with pytest.raises(RefusedError, match=reason):
            adopt(TEXT, pages, **options)


def test_a_page_that_seems_another_is_adopted_if_a_person_says_so(tmp_path: Path) -> None:
    page = changed(COINS, "GET <code>", "POST <code>", -1, tmp_path)
    with pytest.raises(RefusedError, match="REPLACES=exchange says that it is right"):
        adopt(TEXT, [page])
    text, _ = adopt(TEXT, [page], replaces="exchange")
    assert adopt(text, [page]) == (text, [])


def test_the_program_reports_and_writes_all_or_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "openapi.yaml"
    path.write_text(TEXT, "utf-8")
    good = changed(COINS, "<strong>100<", "<strong>200<", 1, tmp_path)
    bad = changed(EXCHANGE, "ARRAY", "QUBIT", -1, tmp_path)
    assert main([good, bad], path) == 2
    reason = f"{bad}: parameter assetNames: the type QUBIT is unknown"
    assert capsys.readouterr().err == f"refused, and nothing was changed: {reason}\n"
    assert path.read_text("utf-8") == TEXT
    assert main([good], path) == 0
    *_, reason, verdict = capsys.readouterr().out.splitlines()
    assert reason == (
        f"{good}: request weight: 200 on the page, 100 in openapi.yaml"
        " (the page: Request Weight(IP) 200)"
    )
    assert verdict == "openapi.yaml was changed"
    assert path.read_text("utf-8") == TEXT.replace("weight: 100\n", "weight: 200\n", 1)
    assert main([good], path) == 0
    assert capsys.readouterr().out == "openapi.yaml already agrees\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == [COINS, EXCHANGE, "openapi.yaml"]


def test_what_cannot_be_generated_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "openapi.yaml"
    path.write_text(TEXT.replace("format: decimal", "format: quaternion"), "utf-8")
    page = changed(COINS, "<strong>100<", "<strong>200<", 1, tmp_path)
    assert main([page], path) == 2
    assert "format quaternion cannot be expressed" in capsys.readouterr().err
    assert "x-request-weight: 200" not in path.read_text("utf-8")


def test_make_passes_pages_and_options() -> None:
    make = ["make", "--silent", "adopt-page", "PAGE=nowhere", "REPLACES=a b", "SOURCE=c d"]
    done = subprocess.run(make, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    refusal = "refused, and nothing was changed: nowhere: cannot be read: [Errno 2] No such file"
    assert refusal in done.stderr


_USE = """
from binance_small_liability import SmallLiabilityClient
from binance_small_liability.testing import FakeBinance
from tools.operations import OPERATIONS
from tools.prism import prism
fake = FakeBinance()
reads = [operation for operation in OPERATIONS if operation.command[0] == "call"]
with fake.serve() as faked, prism() as mocked:
    for url in (faked, mocked):
        with SmallLiabilityClient(**fake.credentials, base_url=url) as client:
            for operation in reads:
                assert operation.call(client) == operation.documented, (url, operation)
                print(operation.path)
"""


def test_pages_of_other_endpoints_become_operations_that_work(
    generator: Any, contracts: Path, tmp_path: Path
) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=ignored)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    text, _ = adopt(TEXT, NEW_PAGES)
    for path in (tmp_path / "openapi.yaml", contracts / "other-endpoints.yaml"):
        path.write_text(text, "utf-8")
    generator.generate(tmp_path / "openapi.yaml", tmp_path / PACKAGE.name)
    # In this folder, Python finds these modules before those of this project.
    use = [sys.executable, "-W", "error", "-c", _USE]
    done = subprocess.run(use, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answered = Counter(done.stdout.split())  # by the fake and by Prism
    for page in NEW_PAGES:
        assert answered[endpoint_of(read_pages(read(page)))[1]] == 2
