"""The wire client is byte by byte what the generator makes from the contract."""

import os
import shutil
import subprocess
from pathlib import Path

from tools.check_generated import PACKAGE, differences, drift
from tools.contract import ROOT


def test_generated_has_not_drifted_from_the_contract(tmp_path: Path) -> None:
    package = tmp_path / "package"
    # An old file, which generating removes.
    (package / "models").mkdir(parents=True)
    (package / "models/stale.py").write_text("")
    report = drift(package)
    assert report is None, report
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_every_generated_file_has_a_note() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {path.name for path in files} >= {"py.typed", "coin.py", "list_coins.py", "openapi.json"}
    for path in files:
        first = path.read_text("utf-8").splitlines()[0]
        assert "enerated" in first, path
        assert "make generate" in first, path


def test_a_clone_with_windows_line_ends_has_not_drifted(tmp_path: Path) -> None:
    original, clone = tmp_path / "original", tmp_path / "clone"
    shutil.copytree(PACKAGE, original / "package", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitattributes", original)
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "core.autocrlf=true"]
    # Nothing of the user's configuration.
    alone = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}
    for words in (
        "init --quiet",
        "add .",
        "commit --quiet --message=A",
        f"clone --quiet . {clone}",
    ):
        subprocess.run([*git, *words.split()], cwd=original, check=True, env=alone)
    assert differences(PACKAGE, clone / "package") == []
