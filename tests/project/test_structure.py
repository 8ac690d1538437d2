"""The structure of the wrapper: its layers, and its use of other libraries."""

import ast
import re
import sys
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from binance_small_liability import SmallLiabilityClient

from tests.clients import CREDENTIALS
from tests.wire import response, serving
from tools.contract import ROOT

PACKAGE = ROOT / "wrapper/binance_small_liability"
MODULES = sorted(PACKAGE.rglob("*.py"))
# From the top down. A module imports only its own layer and layers below it, at any place of its
# code, also only for types. Within a layer there is no circle.
LAYERS = (
    ("__main__", "cli", "testing"),
    ("__init__", "operations"),
    ("_client",),
    ("_history", "aiohttp", "redis"),
    ("_call",),
    ("_config",),
    ("_io",),
    ("_secrets", "_errors"),
)
MOST_REENTRIES = 8


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def _layer(module: str) -> int:
    [layer] = [index for index, names in enumerate(LAYERS) if module.split(".")[1] in names]
    return layer


NAMES = {_name(path).removesuffix(".__init__") for path in MODULES}
PACKAGES = {_name(path).removesuffix(".__init__") for path in MODULES if path.stem == "__init__"}


@cache
def _imports(path: Path) -> frozenset[str]:
    """The modules of this package that a module names in an import."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = _name(path).split(".")[: -node.level] if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            # `from . import tasks` names a module, `from .tasks import TaskIo` a part of one.
            targets = [f"{source}.{alias.name}" for alias in node.names]
            found |= {target if target in NAMES else source for target in targets}
    named = {f"{name}.__init__" if name in PACKAGES else name for name in found & NAMES}
    return frozenset(named - {_name(path)})


def test_imports_point_down() -> None:
    up = [
        f"{_name(path)} imports {name}, which is above it"
        for path in MODULES
        for name in _imports(path)
        if _layer(_name(path)) > _layer(name)
    ]
    assert up == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    imports = {_name(path): _imports(path) for path in MODULES}
    # Take away modules whose imports are gone, until only circles are left.
    while leaves := {name for name, used in imports.items() if not used & imports.keys()}:
        imports = {name: used for name, used in imports.items() if name not in leaves}
    assert imports == {}


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
