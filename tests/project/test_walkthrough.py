"""The steps of the guide "The API changed: what now?", in a copy of this project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.contract import ROOT

_RECORDS = "wrapper/binance_small_liability/_records.py"
_FIELDS = "tests/contract/test_operations.py::test_a_record_has_the_fields_of_the_contract"
_OUTPUTS = "tests/project/test_guides.py::test_commands_print_what_the_page_shows"
_LEFT_BEHIND = (".*", "node_modules", "__pycache__", "site", "reports")


class Copy:
    """A copy of this project that uses the tools installed here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
        for tools in (".venv", "node_modules"):
            (folder / tools).symlink_to(ROOT / tools)
        self.run("git init --quiet")
        self.run("git add --all")

    def run(self, command: str, code: int = 0) -> str:
        """Runs a command in the copy, with its packages; returns the output."""
        packages = [str(self.folder / name) for name in ("generated", "wrapper")]
        done = subprocess.run(
            command.replace("python ", f"{sys.executable} ").split(),
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(packages),
                # Loading them would take longer than the test.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def generate(self) -> None:
        # An installation from the copy would replace this project in the shared tools.
        self.run("make generate --assume-old=.venv/.pinned --assume-old=.venv/.installed")

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), "utf-8")

    def test(self, *tests: str, code: int) -> str:
        return self.run(
            "python -m pytest -q -p pytest_timeout -p pytest_binance_small_liability"
            f" -p no:cacheprovider {' '.join(tests)}",
            code,
        )

    def list_coins(self) -> str:
        """Calls a fake Binance of the copy's contract, as a user would."""
        script = self.folder / "use.py"
        script.write_text(
            "from binance_small_liability import SmallLiabilityClient\n"
            "from binance_small_liability.testing import FakeBinance\n"
            "fake = FakeBinance()\n"
            "keys = {'api_key': fake.api_key, 'api_secret': fake.api_secret}\n"
            "with SmallLiabilityClient(**keys, transport=fake.transport()) as client:\n"
            "    print(client.list_coins())\n"
        )
        return self.run("python -W error use.py")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


def test_a_new_field_is_one_line(copy: Copy) -> None:
    copy.edit(
        "openapi.yaml",
        "        liabilityQty:\n          description",
        "        riskTier:\n          type: string\n        liabilityQty:\n          description",
    )
    copy.edit(
        "openapi.yaml",
        "- asset: ETH\n                      interest",
        "- asset: ETH\n                      riskTier: A\n                      interest",
    )
    copy.generate()
    # The released client still works,
    assert "liability_qty=Decimal('0.3552')" in copy.list_coins()
    # and the tests report what is new and where it belongs.
    output = copy.test(_FIELDS, code=1)
    assert f"FAILED {_FIELDS}" in output
    assert "'risktier'" in output
    assert "_records.py" in output

    copy.edit(
        _RECORDS,
        "    liability_qty: Decimal\n",
        "    liability_qty: Decimal\n    risk_tier: str | None = None\n",
    )
    assert "risk_tier='A'" in copy.list_coins()
    output = copy.test(_FIELDS, _OUTPUTS, code=1)
    assert f"FAILED {_FIELDS}" not in output
    # The outputs in README and guides lack the new field, so these tests fail.
    for page in ("README", "command-line", "first-call", "index"):
        assert f"[{page}]" in output
    assert "risk_tier" in output

    changes = [line.split() for line in copy.run("git diff --numstat").splitlines()]
    by_hand = {file: added for added, _, file in changes if not file.startswith("generated/")}
    assert by_hand == {"openapi.yaml": "3", _RECORDS: "1"}
