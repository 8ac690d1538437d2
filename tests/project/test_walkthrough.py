"""The steps of the guides "The API changed" and "A new endpoint", in a copy of this project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.contract import ROOT

_COPIED = ("openapi.yaml", "generated", "wrapper", "tools", "docs/pages", "README.md")
_USE = """
from binance_small_liability import SmallLiabilityClient, operations
from binance_small_liability.testing import FakeBinance
fake = FakeBinance()
with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
    print(client.list_coins())
    print(client.call(operations.list_newer, symbol="BTCUSDT"))
"""
_NEW_READ = """
  /sapi/v1/margin/newer:
    get:
      operationId: list_newer
      summary: List Newer
      description: Lists what is newer.
      externalDocs:
        url: https://developers.binance.com/docs/margin_trading/trade/Newer
      tags: [margin]
      x-security-type: MARKET_DATA
      security:
        - apiKey: []
      x-request-weight: 5
      x-request-weight-by: IP
      parameters:
        - name: symbol
          in: query
          required: true
          description: The pair.
          schema:
            type: string
          example: BTCUSDT
      responses:
        "200":
          description: What is newer.
          content:
            application/json:
              schema:
                type: array
                items:
                  $ref: "#/components/schemas/Coin"
              examples:
                documented:
                  value:
                    - asset: NEW
                      interest: "1"
                      principal: "2"
                      liabilityAsset: USDT
                      liabilityQty: 3

  /api/v3/time:
"""
# Two edits for a new field, in any position, and one for a new read.
_EDITS = {
    "        liabilityQty:\n          description": (
        "        riskTier:\n          type: string\n        liabilityQty:\n          description"
    ),
    "- asset: ETH\n                      interest": (
        "- asset: ETH\n                      riskTier: A\n                      interest"
    ),
    "\n  /api/v3/time:\n": _NEW_READ,
}


def _run(folder: Path, *command: str) -> str:
    """Runs Python in the copy, with its packages; returns the output."""
    packages = os.pathsep.join(str(folder / name) for name in ("generated", "wrapper"))
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": packages},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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
    contract = folder / "openapi.yaml"
    for old, new in _EDITS.items():
        text = contract.read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        contract.write_text(text.replace(old, new), "utf-8")
    _run(folder, "generated/generate.py")
    _run(folder, "-m", "tools.guides")
    return folder


def test_a_user_sees_the_field_and_calls_the_read(copy: Path) -> None:
    (copy / "use.py").write_text(_USE)
    coins, newer = _run(copy, "-W", "error", "use.py").splitlines()
    assert "risk_tier='A'" in coins
    assert "asset='NEW'" in newer


def test_the_guides_follow(copy: Path) -> None:
    changed = {
        str(path.relative_to(copy))
        for path in [copy / "README.md", *copy.glob("docs/pages/*.md")]
        if path.read_text("utf-8") != (ROOT / path.relative_to(copy)).read_text("utf-8")
    }
    pages = {f"docs/pages/{name}.md" for name in ("command-line", "first-call", "index", "python")}
    assert changed == {"README.md", *pages}
    shown = (copy / "docs/pages/command-line.md").read_text("utf-8")
    assert '"risk_tier": "A"' in shown
    assert "list_newer" in shown
