"""The steps of the guides "The API changed" and "A new endpoint", in a copy of this project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.contract import ROOT

_LEFT_BEHIND = (".*", "node_modules", "__pycache__", "site", "reports")
_USE = """
from binance_small_liability import SmallLiabilityClient, operations
from binance_small_liability.testing import FakeBinance
fake = FakeBinance()
with SmallLiabilityClient(**fake.credentials, transport=fake.transport()) as client:
    print(client.{call})
"""


class Copy:
    """A copy of this project that uses the tools installed here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
        for tools in (".venv", "node_modules"):
            (folder / tools).symlink_to(ROOT / tools)
        self.run("git init --quiet")
        self.run("git add --all")

    def run(self, command: str) -> str:
        """Runs a command in the copy, with its packages; returns the output."""
        packages = [str(self.folder / name) for name in ("generated", "wrapper")]
        # `make` would remove PYTHONPATH, and would install from the copy.
        make = "make --assume-old=.venv/.pinned --assume-old=.venv/.installed"
        done = subprocess.run(
            command.replace("python ", f"{sys.executable} ").replace("make", make, 1).split(),
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(packages)},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def generate(self) -> None:
        # What `make generate` runs.
        self.run("python generated/generate.py")
        self.run("python -m tools.guides")

    def edit(self, old: str, new: str) -> None:
        path = self.folder / "openapi.yaml"
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        path.write_text(text.replace(old, new), "utf-8")

    def use(self, call: str) -> str:
        """Calls a fake Binance of the copy's contract, as a user would."""
        (self.folder / "use.py").write_text(_USE.format(call=call))
        return self.run("python -W error use.py")

    def edited_by_hand(self) -> set[str]:
        changed = self.run("git diff --name-only").split()
        return {file for file in changed if not file.startswith("generated/")}


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


def test_a_new_field_is_one_edit_of_the_contract(copy: Copy) -> None:
    copy.edit(
        "        liabilityQty:\n          description",
        "        riskTier:\n          type: string\n        liabilityQty:\n          description",
    )
    copy.edit(
        "- asset: ETH\n                      interest",
        "- asset: ETH\n                      riskTier: A\n                      interest",
    )
    copy.generate()
    assert "risk_tier='A'" in copy.use("list_coins()")
    # Command line, guides and their outputs follow.
    assert '"risk_tier": "A"' in (copy.folder / "docs/pages/command-line.md").read_text("utf-8")
    written = {"README.md", "docs/pages/command-line.md", "docs/pages/first-call.md"}
    assert copy.edited_by_hand() == {"openapi.yaml", "docs/pages/index.md", *written}


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


def test_a_new_read_can_be_called_when_the_contract_describes_it(copy: Copy) -> None:
    copy.edit("\n  /api/v3/time:\n", _NEW_READ)
    copy.generate()
    assert "asset='NEW'" in copy.use("call(operations.list_newer, symbol='BTCUSDT')")
    assert "list_newer" in (copy.folder / "docs/pages/command-line.md").read_text("utf-8")
