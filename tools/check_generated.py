"""Checks that generated/ is what the generator makes from openapi.yaml."""

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.contract import OPENAPI_YAML, ROOT

PACKAGE = ROOT / "generated/binance_small_liability_api"


def generate(package: Path, contract: Path = OPENAPI_YAML) -> None:
    """Writes the wire client of `contract` to `package`. Raises RuntimeError with the output."""
    script = ROOT / "generated/generate.py"
    done = subprocess.run(
        [sys.executable, script, "--contract", contract, "--package", package],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)


def drift(fresh: Path) -> str | None:
    """A message that lists the differing files of generated/, or None if there are none."""
    generate(fresh)
    files = differences(PACKAGE, fresh)
    if not files:
        return None
    return (
        f"generated/ is not what openapi.yaml makes: {', '.join(files)}. Run `make generate` and"
        " commit the changes; never edit generated/ by hand."
    )


def differences(ours: Path, fresh: Path) -> list[str]:
    """The files, relative to both packages, that differ."""

    def visit(compared: "filecmp.dircmp[str]", under: str) -> list[str]:
        # Byte by byte: dircmp itself compares only sizes and dates.
        _, mismatched, errors = filecmp.cmpfiles(
            compared.left, compared.right, compared.common_files, shallow=False
        )
        odd = [*mismatched, *errors, *compared.left_only, *compared.right_only]
        found = [f"{under}{name}" for name in odd if name != "__pycache__"]
        for name, child in compared.subdirs.items():
            found += visit(child, f"{under}{name}/")
        return found

    return sorted(visit(filecmp.dircmp(ours, fresh), ""))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(drift(Path(folder, "fresh")))
