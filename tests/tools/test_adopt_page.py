"""`make adopt-page` puts what a page says into the contract, and changes nothing else."""

import difflib
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from copy import deepcopy
from functools import cache
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools import random_pages
from tests.tools.page_changes import (
    COINS,
    CONTRADICTIONS,
    EXCHANGE,
    FORMS,
    HISTORY,
    PAGES,
    VARIANTS,
    changed,
)
from tools.adopt_page import adopt, main
from tools.adoption import RefusedError
from tools.comparison import endpoint_of
from tools.contract import LIST_PATH, OPENAPI_YAML, ROOT, inlined, loaded
from tools.page import read_pages
from tools.sections import read
from tools.yaml_edits import edited

# Other tests measure coverage: it would double the time of these.
pytestmark = pytest.mark.no_cover

TEXT = OPENAPI_YAML.read_text("utf-8")
GENERATOR = runpy.run_path(str(ROOT / "generated/generate.py"))
NEW_PAGES = sorted((Path(__file__).parent / "new_pages").iterdir())


def _adopted(name: str, text: str = TEXT) -> str:
    """The contract after a page was adopted.

    The page and the contract then agree, because a second time nothing changes. The text and the
    meaning of other operations stay.
    """
    new, _ = adopt(text, [name])
    assert adopt(new, [name]) == (new, [])
    target = endpoint_of(read_pages(read(name)))
    before, after = ({**_operations(each), target: None} for each in (text, new))
    assert before == after
    return new


@cache
def _operations(text: str) -> dict[tuple[str, str], Any]:
    """Text and meaning of each operation."""
    root = yaml.compose(text, yaml.CSafeLoader)
    assert root is not None
    contract, found = loaded(text), {}
    for path, item in next(value for key, value in root.value if key.value == "paths").value:
        for method, node in item.value:
            meaning = inlined(contract, contract["paths"][path.value][method.value])
            whole = text[node.start_mark.index : node.end_mark.index].rstrip()
            found[method.value.upper(), path.value] = whole, meaning
    return found


@pytest.mark.parametrize("form", FORMS)
def test_a_page_that_agrees_changes_nothing(form: str) -> None:
    assert adopt(TEXT, [str(PAGES / form)]) == (TEXT, [])


def test_each_change_of_a_page_is_adopted(tmp_path: Path) -> None:
    refused = {(page, old, new) for page, old, new, _ in REFUSED}
    adoptable = [each[:3] for each in VARIANTS if each[:3] not in refused]
    by_endpoint = [
        [each for each in adoptable if each[0].startswith(endpoint)]
        for endpoint in ("coin-list", "exchange", "history")
    ]
    # One change of each endpoint at a time, because their number takes the time.
    contracts = []
    for number, variants in enumerate(zip_longest(*by_endpoint)):
        found = filter(None, variants)
        pages = [changed(page, old, new, -1, tmp_path) for page, old, new in found]
        text, _ = adopt(TEXT, pages)
        assert adopt(text, pages) == (text, [])
        GENERATOR["Contract"](loaded(text))
        contracts.append(tmp_path / f"{number}.yaml")
        contracts[-1].write_text(text, "utf-8")
    _lint(*contracts)


def _lint(*contracts: Path) -> None:
    """Contracts keep the rules of `make lint`."""
    lint = ROOT / "node_modules/.bin/redocly", "lint", "--config", ROOT / "redocly.yaml"
    subprocess.run([*lint, *contracts], check=True)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_changes_by_chance_are_adopted_one_after_another(by: Random) -> None:
    text, parts = TEXT, random_pages.page(by)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page")
        for _ in range(3):
            page.write_text(random_pages.markdown(parts), "utf-8")
            try:
                text = _adopted(str(page), text)
            except RefusedError as error:
                # Only a field that becomes a list of nothing, or a mixture.
                assert "which the contract cannot express" in str(error)  # noqa: PT017
            GENERATOR["Contract"](loaded(text))
            parts = random_pages.another(parts, by)


REFUSED = [
    (COINS, "GET <code>", "POST <code>", "but otherwise describes GET /sapi/v1/margin"),
    ("coin-list-chinese.md", "GET `", "POST `", "but otherwise describes GET /sapi/v1/margin/"),
    ("exchange.html", "Once within", "Twice within", "rule once-in-hours: Twice within 6"),
    ("coin-list-one-line.md", "“0.001”", "[]", "principal: array on the page, decimal string"),
    (EXCHANGE, "assetNames| ARRAY", "assetNames| QUBIT", "the type QUBIT is unknown"),
    (EXCHANGE, "(MARGIN)", "(KEYLESS)", "the security type KEYLESS is unknown"),
    (EXCHANGE, "3000(UID)", "3000(UID and IP)", "the weight is counted by IP or UID"),
    (EXCHANGE, "3000(UID)", "0.5(UID)", "the request weight 0.5 is no whole number"),
    (HISTORY, "Max:100", "Max:9", "parameter size: its bounds exclude each other"),
    (HISTORY, "GET `", "GET `/sapi/v1/other` or GET `", "the page has several endpoints"),
    (HISTORY, '"total": 1', '"total" 1', "cannot be read: the example: Expecting ':'"),
]


@pytest.mark.parametrize(("page", "old", "new", "reason"), REFUSED)
def test_what_is_not_certain_is_refused(
    page: str, old: str, new: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=re.escape(reason)):
        adopt(TEXT, [changed(page, old, new, -1, tmp_path)])


@pytest.mark.parametrize(("page", "old", "new"), [each[:3] for each in CONTRADICTIONS])
def test_languages_that_contradict_each_other_are_refused(
    page: str, old: str, new: str, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match="its languages contradict each other: "):
        adopt(TEXT, [changed(page, old, new, 1, tmp_path)])


def _edit(old: str, new: str, folder: Path, page: str = COINS, **options: str) -> list[str]:
    """The lines that a change of a page adds to the contract, and those that it removes."""
    text, _ = adopt(TEXT, [changed(page, old, new, -1, folder)], **options)
    diff = difflib.unified_diff(TEXT.splitlines(), text.splitlines(), lineterm="", n=0)
    return [line[:1] + line[1:].strip() for line in [*diff][2:] if line[0] in "+-"]


def test_edits_are_the_smallest(tmp_path: Path) -> None:
    assert _edit("<strong>100<", "<strong>200<", tmp_path) == [
        "-x-request-weight: 100",
        "+x-request-weight: 200",
    ]
    unknown = "+- Whether `response [].tier` is always sent, and its type."
    value = "&quot;, &quot;tier&quot;: 7"
    assert _edit("ETH&quot;", f"ETH{value}", tmp_path) == [
        "+x-unknown:",
        unknown,
        "+tier: 7",
        "+tier:",
        "+type: integer",
        "+format: int64",
    ]


def test_a_component_that_others_use_is_copied(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_text(
        random_pages.markdown(
            {
                "security": "USER_DATA",
                "weight": "1(IP)",
                "parameters": [],
                "signed": True,
                "example": [{"asset": "ETH", "tier": "A"}],
            }
        )
    )
    contract = loaded(TEXT)
    newer = deepcopy(contract["paths"][LIST_PATH]["get"])
    newer["operationId"] = "newer_things"
    contract["paths"][random_pages.PATH] = {"get": newer}
    text = _adopted(str(page), edited(TEXT, contract))
    schemas = loaded(text)["components"]["schemas"]
    assert schemas["Coin"] == loaded(TEXT)["components"]["schemas"]["Coin"]
    assert schemas["NewerThingsCoin"]["properties"].keys() == {"asset", "tier"}


def test_an_operation_moves_and_its_page_has_an_address(tmp_path: Path) -> None:
    old, new = "/margin/exchange-small-liability<", "/margin/small-liabilities<"
    options = {"replaces": "list_coins", "source": "https://example.org/page"}
    edits = _edit(old, new, tmp_path, **options)
    assert "+/sapi/v1/margin/small-liabilities:" in edits
    assert "+url: https://example.org/page" in edits
    with pytest.raises(RefusedError, match=r"there are list_coins, exchange, list_exchanges"):
        _edit(old, new, tmp_path, replaces="lists_coin")


def test_the_program_reports_and_writes_all_or_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = tmp_path / "openapi.yaml"
    contract.write_text(TEXT, "utf-8")
    good = changed(COINS, "<strong>100<", "<strong>200<", 1, tmp_path)
    bad = changed(EXCHANGE, "ARRAY", "QUBIT", -1, tmp_path)
    assert main([good, bad], contract) == 2
    reason = f"{bad}: parameter assetNames: the type QUBIT is unknown"
    assert capsys.readouterr().err == f"refused, and nothing was changed: {reason}\n"
    assert contract.read_text("utf-8") == TEXT
    assert main([good], contract) == 0
    *_, reason, verdict = capsys.readouterr().out.splitlines()
    assert reason == (
        f"{good}: request weight: 200 on the page, 100 in openapi.yaml"
        " (the page: Request Weight(IP) 200)"
    )
    assert verdict == "openapi.yaml was changed"
    assert contract.read_text("utf-8") == TEXT.replace("weight: 100\n", "weight: 200\n", 1)
    assert main([good], contract) == 0
    assert capsys.readouterr().out == "openapi.yaml already agrees\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [COINS, EXCHANGE, "openapi.yaml"]


def test_what_cannot_be_generated_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = tmp_path / "openapi.yaml"
    contract.write_text(TEXT.replace("format: decimal", "format: quaternion"), "utf-8")
    page = changed(COINS, "<strong>100<", "<strong>200<", 1, tmp_path)
    assert main([page], contract) == 2
    assert "format quaternion cannot be expressed" in capsys.readouterr().err
    assert "x-request-weight: 200" not in contract.read_text("utf-8")


def test_make_adopts_pages() -> None:
    make = ["make", "--silent", "adopt-page", f"PAGE={PAGES / COINS} {PAGES / EXCHANGE}"]
    done = subprocess.run(make, check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "openapi.yaml already agrees\n"


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
print(len(reads))
"""


def test_pages_of_other_endpoints_become_operations_that_work(tmp_path: Path) -> None:
    for name in ("generated", "wrapper", "tools"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    contract = shutil.copy(OPENAPI_YAML, tmp_path)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    paths = os.pathsep.join(str(tmp_path / name) for name in ("generated", "wrapper"))
    for command in (
        ["-m", "tools.adopt_page", *map(str, NEW_PAGES)],
        ["generated/generate.py"],
        ["-W", "error", "-c", _USE],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(NEW_PAGES)
    _lint(Path(contract))
