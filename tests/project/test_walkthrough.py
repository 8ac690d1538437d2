"""The steps of the guides "The API changed" and "A new endpoint", in a copy of this project."""

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.processes import output
from tools.contract import LIST_PATH, ROOT

_COPIED = ("openapi.yaml", "generated", "wrapper", "tools", "docs/pages", "README.md")
# What `make generate` runs after the generator, and then a user's program.
_USE = """
from tools import guides
assert guides.main() is None
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


def test_a_user_sees_the_field_and_calls_the_read_and_the_guides_follow(tmp_path: Path) -> None:
    for name in _COPIED:
        copy = shutil.copy if (ROOT / name).is_file() else shutil.copytree
        copy(ROOT / name, tmp_path / name)
    path = tmp_path / "openapi.yaml"
    contract = yaml.safe_load(path.read_text("utf-8"))
    _edit(contract)
    path.write_text(yaml.safe_dump(contract, sort_keys=False), "utf-8")
    packages = os.pathsep.join(str(tmp_path / name) for name in ("generated", "wrapper"))
    python = partial(output, sys.executable, cwd=tmp_path, env={"PYTHONPATH": packages})
    python("generated/generate.py")
    coins, newer = python("-W", "error", "-c", _USE).splitlines()
    assert "newest_tier='A'" in coins
    assert newer.startswith("[Newer(pair='BTCUSDT', opened=datetime.datetime(2017, 7, 14")
    changed = {
        str(path.relative_to(tmp_path))
        for path in [tmp_path / "README.md", *tmp_path.glob("docs/pages/*.md")]
        if path.read_text("utf-8") != (ROOT / path.relative_to(tmp_path)).read_text("utf-8")
    }
    names = ("command-line", "first-call", "index", "keys", "python")
    pages = {f"docs/pages/{name}.md" for name in names}
    assert changed >= {"README.md", *pages}
    shown = (tmp_path / "docs/pages/command-line.md").read_text("utf-8")
    assert '"newest_tier": "A"' in shown
    assert "list_newer" in shown
