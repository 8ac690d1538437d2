"""Differences between the wire client and what the generator makes are reported."""

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tools import check_generated
from tools.check_generated import PACKAGE, differences, drift
from tools.contract import ROOT


def test_drift_names_the_files_that_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_generated, "generate", partial(shutil.copytree, PACKAGE))
    assert drift(tmp_path / "same") is None
    monkeypatch.setattr(check_generated, "PACKAGE", tmp_path / "same")
    first, second, *_ = sorted((tmp_path / "same/records").glob("*.py"))
    first.write_text(first.read_text("utf-8").swapcase(), "utf-8")
    second.unlink()
    (tmp_path / "same/stale.py").touch()
    report = drift(tmp_path / "fresh")
    assert report is not None
    assert f": records/{first.name}, records/{second.name}, stale.py. Run `make generate`" in report


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
