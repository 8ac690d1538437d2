"""The wire client is byte by byte what the generator makes from the contract."""

from pathlib import Path

from tools.check_generated import PACKAGE, drift


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
