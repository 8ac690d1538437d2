"""The wire client is byte by byte what the generator makes from the contract."""

from pathlib import Path

from tools.check_generated import PACKAGE, differences, drift, generate


def test_generated_has_not_drifted_from_the_contract(tmp_path: Path) -> None:
    report = drift(tmp_path / "fresh")
    assert report is None, report


def test_generating_again_leaves_no_old_file(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "models").mkdir(parents=True)
    (package / "models/stale.py").write_text("")
    generate(package)
    assert differences(PACKAGE, package) == []
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_every_generated_file_has_a_note() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {path.name for path in files} >= {"py.typed", "client.py"}
    for path in files:
        first = path.read_text("utf-8").splitlines()[0]
        assert "enerated" in first, path
        assert "make generate" in first, path
