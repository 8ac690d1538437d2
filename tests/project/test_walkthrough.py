"""The steps of the guides "The API changed" and "A new endpoint", in a copy of this project."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import output
from tools.contract import LIST_PATH, ROOT

_COPIED = ("openapi.yaml", "generated", "wrapper", "tools", "docs/pages", "README.md")
_USE = """
from binance_small_liability import SmallLiabilityClient, operations
from binance_small_liability.testing import FakeBinance
fake = FakeBinance()
with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
    print(client.list_coins())
    print(client.call(operations.list_newer, symbol="BTCUSDT"))
"""
# A new read, whose record has a field of another name in the contract.
_NEWER = """
operationId: list_newer
summary: List Newer
description: Lists what is newer.
externalDocs: {url: https://developers.binance.com/docs/margin_trading/trade/Newer}
tags: [margin]
x-security-type: MARKET_DATA
security: [apiKey: []]
x-request-weight: 5
x-request-weight-by: IP
parameters:
  - {name: symbol, in: query, required: true, schema: {type: string}, example: BTCUSDT}
responses:
  "200":
    description: What is newer.
    content:
      application/json:
        schema: {type: array, items: {$ref: "#/components/schemas/Newer"}}
        examples: {documented: {value: [{pair: BTCUSDT, openTime: 1500000000000}]}}
"""
_RECORD = """
type: object
required: [pair, openTime]
properties:
  pair: {type: string}
  openTime: {$ref: "#/components/schemas/Time", x-public-name: opened}
"""


def _edit(contract: Any) -> None:
    """Adds the read, and a field that is not required in front of all others."""
    contract["paths"]["/sapi/v1/margin/newer"] = {"get": yaml.safe_load(_NEWER)}
    schemas = contract["components"]["schemas"]
    schemas["Newer"] = yaml.safe_load(_RECORD)
    schemas["Coin"]["properties"] = {
        "newestTier": {"type": "string"},
        **schemas["Coin"]["properties"],
    }
    answer = contract["paths"][LIST_PATH]["get"]["responses"]["200"]
    first = next(iter(answer["content"]["application/json"]["examples"].values()))
    first["value"][0]["newestTier"] = "A"


def _run(folder: Path, *command: str) -> str:
    """Runs Python in the copy, with its packages; returns the output."""
    packages = os.pathsep.join(str(folder / name) for name in ("generated", "wrapper"))
    return output(sys.executable, *command, cwd=folder, env={"PYTHONPATH": packages})


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project after the edits and what `make generate` runs."""
    folder = tmp_path_factory.mktemp("copy")
    for name in _COPIED:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder / name)
        else:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    path = folder / "openapi.yaml"
    contract = yaml.safe_load(path.read_text("utf-8"))
    _edit(contract)
    path.write_text(yaml.safe_dump(contract, sort_keys=False), "utf-8")
    _run(folder, "generated/generate.py")
    _run(folder, "-m", "tools.guides")
    return folder


def test_a_user_sees_the_field_and_calls_the_read(copy: Path) -> None:
    (copy / "use.py").write_text(_USE)
    coins, newer = _run(copy, "-W", "error", "use.py").splitlines()
    assert "newest_tier='A'" in coins
    assert newer.startswith("[Newer(pair='BTCUSDT', opened=datetime.datetime(2017, 7, 14")


def test_the_guides_follow(copy: Path) -> None:
    changed = {
        str(path.relative_to(copy))
        for path in [copy / "README.md", *copy.glob("docs/pages/*.md")]
        if path.read_text("utf-8") != (ROOT / path.relative_to(copy)).read_text("utf-8")
    }
    names = ("command-line", "first-call", "index", "keys", "python")
    pages = {f"docs/pages/{name}.md" for name in names}
    assert changed >= {"README.md", *pages}
    shown = (copy / "docs/pages/command-line.md").read_text("utf-8")
    assert '"newest_tier": "A"' in shown
    assert "list_newer" in shown
