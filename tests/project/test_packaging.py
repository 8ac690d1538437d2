"""The distribution: its contents, and that it works without other packages."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from email import message_from_string
from importlib.metadata import distribution
from modulefinder import ModuleFinder
from pathlib import Path

import pytest

from tests.processes import ended, output
from tests.wire import response, serving
from tools.contract import ROOT
from tools.operations import LIST_COINS

_BIN = Path(sys.executable).parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
# A plain call must work with only these packages.
RUN_TIME = {
    *("anyio", "attrs", "certifi", "h11", "httpcore", "httpx", "idna"),
    "typing-extensions",
}
PYTEST = {"iniconfig", "packaging", "pluggy", "pygments", "pytest"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    _run(_BIN / "hatchling", "build", "--directory", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    [path] = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    [path] = dist.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("unpacked")
    _run("tar", "--extract", "--file", path, "--directory", folder)
    [root] = folder.iterdir()
    return root


def _run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    return output(*command, cwd=cwd, env=environment)


def test_the_wheel_contains_both_packages_and_the_plugin(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "binance_small_liability",
        "binance_small_liability_api",
        "binance_small_liability_command.py",
        "pytest_binance_small_liability.py",
        next(name.split("/")[0] for name in names if ".dist-info/" in name),
    }
    assert "binance_small_liability/py.typed" in names
    assert "binance_small_liability_api/py.typed" in names
    assert "binance_small_liability_api/openapi.json" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if "/test_" in f"/{name}" or "__pycache__" in name]


def test_it_builds_again_from_its_own_source_to_the_same_bytes(
    dist: Path, unpacked: Path, tmp_path: Path
) -> None:
    _run(_BIN / "hatchling", "build", "--directory", tmp_path, cwd=unpacked)
    names = sorted(path.name for path in dist.iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["whl", "gz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (dist / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_the_source_can_run_the_tests(unpacked: Path) -> None:
    for name in ("Makefile", "openapi.yaml", "requirements.txt", "package-lock.json", "docs"):
        assert (unpacked / name).exists(), name
    packages = f"{unpacked / 'generated'}{os.pathsep}{unpacked / 'wrapper'}"
    environment = {"PYTHONPATH": packages, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # Loading the other plugins would take longer than the tests.
    plugins = ("no:cacheprovider", "pytest_timeout", "pytest_binance_small_liability")
    command = (sys.executable, "-m", "pytest", "-q", *(f"-p{plugin}" for plugin in plugins))
    tests = ("tests/client/test_signing.py", "tests/tools/test_check_generated.py")
    said = _run(*command, *tests, cwd=unpacked, **environment)
    assert re.search(r"^[0-9]+ passed", said, re.MULTILINE)


def test_the_metadata_is_complete(dist: Path, wheel: Path) -> None:
    _run(_BIN / "twine", "check", "--strict", *dist.iterdir())
    [name] = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA")]
    metadata = message_from_string(zipfile.ZipFile(wheel).read(name).decode())
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == f">={VERSIONS[0]}"
    assert set(metadata.get_all("Provides-Extra", [])) == {"aiohttp", "asymmetric", "cli", "redis"}
    classifiers = {f"Programming Language :: Python :: {version}" for version in VERSIONS}
    assert classifiers <= set(metadata.get_all("Classifier", []))


@pytest.fixture(scope="module")
def fresh_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with only the wheel and its run-time dependencies."""
    folder = tmp_path_factory.mktemp("fresh")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    ours = f"binance-small-liability @ {wheel.as_uri()} --hash=sha256:{digest}"
    python = _venv(Path(sys.executable), folder / "venv")
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join([*_pinned(RUN_TIME), ours]))
    # The tools' pip installs into it, because unpacking another pip takes longer.
    pip = (sys.executable, "-m", "pip", "--python", python)
    _run(*pip, "install", "--quiet", "--no-compile", "--require-hashes", "-r", requirements)
    return python


@pytest.fixture(scope="module")
def fresh_pytest(fresh_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the same packages and pytest, which is lent by the tools."""
    folder = tmp_path_factory.mktemp("pytest")
    lent = folder / "lent"
    lent.mkdir()
    for name in PYTEST:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            (lent / top).symlink_to(str(found.locate_file(top)))
    python = _venv(Path(sys.executable), folder / "venv")
    (_site_packages(python) / "lent.pth").write_text(f"{_site_packages(fresh_python)}\n{lent}\n")
    return python


def _site_packages(python: Path) -> Path:
    return next(python.parent.parent.glob("lib/*/site-packages"))


def _pinned(names: set[str]) -> list[str]:
    lock = (ROOT / "requirements.txt").read_text("utf-8")
    locked = re.findall(r"^[a-z0-9-]+==(?:.+\\\n)+.+", lock, re.MULTILINE)
    return [block for block in locked if block.partition("==")[0] in names]


def _venv(python: Path, folder: Path) -> Path:
    _run(python, "-m", "venv", "--without-pip", folder)
    return folder / "bin/python"


def test_without_the_extra_the_command_names_it(fresh_python: Path) -> None:
    command = fresh_python.with_name("binance-small-liability")
    done = ended(command, "list")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "binance-small-liability[cli]"' in done.stderr
    assert done.stderr.count("\n") == 1


_THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != _THIS])
def test_it_installs_and_runs_on(
    version: str, wheel: Path, fresh_python: Path, tmp_path: Path
) -> None:
    interpreter = next(_interpreters(version), None)
    if interpreter is None:
        pytest.skip(f"no Python {version} is installed here")
    python = _venv(interpreter, tmp_path)
    _run(_BIN / "uv", "pip", "install", "--offline", "--no-deps", "--python", python, wheel)
    # Its dependencies are pure Python, so another environment's copies work.
    script = (
        "import runpy, sys; sys.path += sys.argv[1:]; sys.argv[1:] = ['--version']\n"
        "from binance_small_liability import SmallLiabilityClient\n"
        "from binance_small_liability.testing import FakeBinance\n"
        "fake = FakeBinance()\n"
        "client = SmallLiabilityClient(**fake.credentials, transport=fake.transport())\n"
        "with client: assert client.list_coins() == fake.coins\n"
        "runpy.run_module('binance_small_liability', run_name='__main__')"
    )
    lent = _site_packages(fresh_python)
    shown = _run(python, "-I", "-W", "error", "-c", script, lent, sysconfig.get_path("purelib"))
    assert shown.startswith("binance-small-liability ")


def _interpreters(version: str) -> Iterator[Path]:
    on_path = [Path(folder) for folder in os.get_exec_path()]
    pyenv = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin")
    for folder in (*on_path, *pyenv):
        found = shutil.which(f"python{version}", path=str(folder))
        # An interpreter on the path may be a shim that does not start.
        if (
            found
            and not subprocess.run(
                [found, "-c", ""], check=False, stderr=subprocess.DEVNULL
            ).returncode
        ):
            yield Path(found)


def test_a_call_from_the_installed_wheel(fresh_python: Path) -> None:
    code = (
        "import sys; from binance_small_liability import SmallLiabilityClient\n"
        "client = SmallLiabilityClient(api_key='key', api_secret='secret', base_url=sys.argv[1])\n"
        "with client: print(client.list_coins())"
    )
    with serving(response()) as server:
        printed = _run(fresh_python, "-I", "-W", "error", "-c", code, server.url)
    assert printed == f"{LIST_COINS.documented}\n"


def test_bundlers_find_the_modules_and_pyinstaller_the_hook(fresh_python: Path) -> None:
    modules = [
        path.relative_to(folder).with_suffix("")
        for folder in (ROOT / "generated", ROOT / "wrapper")
        for path in folder.glob("binance_small_liability*/**/*.py")
        # The transport over aiohttp is imported by programs that use it.
        if path.stem not in ("__main__", "aiohttp") and "pyinstaller" not in path.parts
    ]
    finder = ModuleFinder([str(ROOT / "generated"), str(ROOT / "wrapper")])
    finder.run_script(str(ROOT / "wrapper/binance_small_liability_command.py"))
    names = {".".join(path.parts).removesuffix(".__init__") for path in modules}
    assert names - finder.modules.keys() == set()
    code = (
        "import importlib.metadata, pathlib\n"
        "[entry] = importlib.metadata.entry_points(group='pyinstaller40')\n"
        "[folder] = entry.load()()\n"
        "print([path.name for path in pathlib.Path(folder).glob('hook-*')])"
    )
    assert _run(fresh_python, "-I", "-c", code) == "['hook-binance_small_liability_api.py']\n"


_STARTS = {
    "found": ("-m", "pytest"),
    "named": ("-m", "pytest", "-p", "pytest_binance_small_liability"),
    "imported": (
        "-c",
        "import sys, pytest, binance_small_liability, pytest_binance_small_liability\n"
        "sys.exit(pytest.main(sys.argv[1:]))",
    ),
}


@pytest.mark.parametrize("start", _STARTS)
def test_the_test_that_the_readme_shows(start: str, fresh_pytest: Path, tmp_path: Path) -> None:
    """It passes in an environment that has only the wheel and pytest, however the plugin loads."""
    readme = (ROOT / "README.md").read_text("utf-8")
    codes = re.findall(r"```python\n(.+?)```", readme, re.DOTALL)
    [shown] = [code for code in codes if "def test_" in code]
    (tmp_path / "test_service.py").write_text(shown)
    (tmp_path / "conftest.py").write_text(_NO_NETWORK)
    options = ("-q", "-W", "error", "--rootdir", tmp_path, tmp_path)
    assert "1 passed" in _run(fresh_pytest, "-I", *_STARTS[start], *options)


_NO_NETWORK = """
import sys

def refuse(event, arguments):
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1":
        raise AssertionError(f"the network is out of bounds: {arguments[1]}")

sys.addaudithook(refuse)
"""
