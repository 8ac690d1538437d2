"""The structure of the wrapper: its layers, and its use of other libraries."""

import ast
import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from binance_small_liability import SmallLiabilityClient

from tests.clients import CREDENTIALS
from tests.wire import response, serving
from tools.contract import ROOT

PACKAGE = ROOT / "wrapper/binance_small_liability"
MODULES = sorted(PACKAGE.rglob("*.py"))
# From the top down. A layer imports only layers below it. Modules without a layer are at the top.
LAYERS = (
    ("_client", "_history"),
    ("_operations",),
    ("_config", "_records"),
    ("_call",),
    ("_io",),
    ("_secrets", "_errors"),
)
MOST_REENTRIES = 8


def _layer(module: str) -> int:
    top = module.removeprefix("binance_small_liability").lstrip(".").partition(".")[0]
    return next((index for index, names in enumerate(LAYERS) if top in names), -1)


def _imports(path: Path) -> set[str]:
    """The modules of this package that a module imports when it is imported."""
    tree = ast.parse(path.read_text("utf-8"))
    package = "binance_small_liability." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            base = package.split(".")[: -node.level] if node.level else []
            name = ".".join([*base, node.module or ""]).rstrip(".")
            found |= {f"{name}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("binance_small_liability.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = _layer("." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    for name in _imports(path):
        assert own <= _layer(name), f"{path.name} imports {name}, which is above it"


def test_one_module_at_most_touches_private_attributes_of_libraries() -> None:
    """If an upgrade of httpx renames them, `network.py` breaks and this test reports it."""
    private = re.compile(r"\b(?:opened|transport|pool|session|connector|client)\._[a-z]")
    touching = [path.name for path in MODULES if private.search(path.read_text("utf-8"))]
    assert touching == ["network.py"]


def test_libraries_call_back_at_most_8_times_in_a_warm_call() -> None:
    reentries: list[str] = []

    def profile(frame: FrameType, event: str, _: Any) -> None:
        caller = frame.f_back
        if event == "call" and caller is not None and _is_ours(frame) and not _is_ours(caller):
            reentries.append(f"{caller.f_code.co_qualname} calls {frame.f_code.co_qualname}")

    with (
        serving(response()) as server,
        SmallLiabilityClient(base_url=server.url, **CREDENTIALS) as client,
    ):
        client.list_coins()
        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            client.list_coins()
        finally:
            sys.setprofile(before)
    # The test's own call of the client.
    from_libraries = [line for line in reentries if "test_libraries" not in line]
    assert len(from_libraries) <= MOST_REENTRIES, "\n".join(from_libraries)


def _is_ours(frame: FrameType) -> bool:
    return Path(frame.f_code.co_filename).is_relative_to(PACKAGE)


def test_the_package_has_at_most_15_entries_at_its_top() -> None:
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert len(entries) <= 15, sorted(entries)
