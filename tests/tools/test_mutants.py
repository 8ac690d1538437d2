"""The report of `make mutants` keeps the reasons that were written into it."""

from pathlib import Path

import pytest

from tools import mutants
from tools.mutants import Result, Survivor


def test_a_report_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutants, "REPORT", tmp_path / "mutants.md")
    assert mutants._read() == {}
    diff = [
        "# status",
        "--- a.py",
        "+++ a.py",
        "@@ -1 +1 @@",
        " def read():",
        "-  a | b",
        "+  a & b",
    ]
    survivor = mutants._survivor("package.a.xǁReaderǁread__mutmut_7", diff)
    assert survivor == Survivor("Reader.read", r"`` a \| b `` → `` a & b ``")
    alike = dict.fromkeys([survivor, Survivor("Reader.read", "other")], r"Has `\|` and `&`.")
    results = {
        "src/a.py": Result(10, 9, "2026-01-15", alike),
        "tools/b.py": Result(5, 5, "2026-01-16", {}),
    }
    mutants.REPORT.write_text(mutants._report(results), "utf-8")
    assert mutants._read() == results
    assert mutants.REPORT.read_text("utf-8").count("Reader.read") == 1
    assert "| all | 15 | 14 (93.3%) | 1 | |" in mutants.REPORT.read_text("utf-8")


def test_an_unknown_module_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main(["retri"]) == 2
    assert "retry" in capsys.readouterr().out
