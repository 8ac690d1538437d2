"""Generates the wire client from the contract, and adds the contract as JSON.

The client is generated in a new folder, which then replaces the old one, so that no old file stays.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parent / "openapi.yaml"
PACKAGE = HERE / "binance_small_liability_api"
CONFIG = HERE / "generator.yaml"
BIN = Path(sys.executable).parent
NOTE = "Generated from openapi.yaml by `make generate`. Do not edit."
HEADER = f"# {NOTE}\n"
# With this in its docstring, pytest does not warn if the package is already imported.
FOR_PYTEST = "PYTEST_DONT_REWRITE"


class _ExactLoader(yaml.CSafeLoader):
    """Marks numbers with a fraction, so that they do not pass through a float."""


_ExactLoader.add_constructor(
    "tag:yaml.org,2002:float", lambda _, node: f"\0{Decimal(node.value)}\0"
)


def contract_as_json(contract: Path) -> str:
    """The contract as JSON with exact numbers and a note in its first line."""
    document = yaml.load(contract.read_text("utf-8"), _ExactLoader)  # noqa: S506 - derives from CSafeLoader
    text = json.dumps(document, indent=1, ensure_ascii=False).removeprefix("{\n")
    numbers = re.sub(r'"\\u0000(.+?)\\u0000"', r"\1", text)
    return f'{{"x-generated": "{NOTE}",\n{numbers}\n'


def generate(contract: Path, package: Path) -> None:
    """Writes the wire client of `contract` to `package`, replacing the old one."""
    package.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a folder can only be renamed within one file system.
    with tempfile.TemporaryDirectory(dir=package.parent, prefix=".generating-") as scratch:
        fresh = Path(scratch, "fresh")
        command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"]
        command += ["--meta", "none", "--config", str(CONFIG)]
        subprocess.run(
            [*command, "--path", contract, "--output-path", fresh],
            check=True,
            stdout=sys.stderr,
            # Its hooks call ruff, which is in the folder of this interpreter.
            env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        )
        for module in fresh.rglob("*.py"):
            module.write_text(HEADER + module.read_text("utf-8"), "utf-8")
        package_module = fresh / "__init__.py"
        text = package_module.read_text("utf-8")
        marked = re.sub('"""(.+?)"""', rf'"""\1\n\n{FOR_PYTEST}\n"""', text, count=1)
        package_module.write_text(marked, "utf-8")
        (fresh / "py.typed").write_text(HEADER, "utf-8")
        (fresh / "openapi.json").write_text(contract_as_json(contract), "utf-8")
        if package.exists():
            package.rename(Path(scratch, "stale"))
        fresh.rename(package)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contract", type=Path, default=CONTRACT)
    parser.add_argument("--package", type=Path, default=PACKAGE)
    arguments = parser.parse_args()
    try:
        generate(arguments.contract.resolve(), arguments.package.resolve())
    except subprocess.CalledProcessError:
        sys.exit(f"The generator refused {arguments.contract}; the reason is above.")
