"""The distribution: its contents, and that it works without other packages."""

import os
import re
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
from binance_small_liability import __version__
from packaging.metadata import Metadata

from tests.processes import ended, output
from tests.wire import response, serving
from tools.check_generated import differences
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


# As in a workflow of GitHub.
REPOSITORY = {"GITHUB_SERVER_URL": "https://git.example", "GITHUB_REPOSITORY": "owner/name"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    _run(_BIN / "hatchling", "build", "--directory", folder, cwd=ROOT, **REPOSITORY)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.fixture(scope="module")
def unpacked(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("unpacked")
    _run("tar", "--extract", "--file", next(dist.glob("*.tar.gz")), "--directory", folder)
    return next(folder.iterdir())


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
    _run(_BIN / "hatchling", "build", "--directory", tmp_path, cwd=unpacked, **REPOSITORY)
    names = sorted(path.name for path in dist.iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["whl", "gz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (dist / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_the_source_has_all_that_the_tests_use(unpacked: Path) -> None:
    for name in ("Makefile", "openapi.yaml", "requirements.txt", "package-lock.json", ".npmrc"):
        assert (unpacked / name).read_bytes() == (ROOT / name).read_bytes()
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text("utf-8").splitlines()]
    for top in (".github", "benchmarks", "docs", "generated", "tests", "tools", "wrapper"):
        different = {f"{top}/{name}" for name in differences(ROOT / top, unpacked / top)}
        assert different - {*ignored} == set()


def test_the_metadata_is_complete(wheel: Path, unpacked: Path) -> None:
    [name] = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA")]
    text = zipfile.ZipFile(wheel).read(name)
    assert (unpacked / "PKG-INFO").read_bytes() == text
    # An index refuses metadata that it cannot read as strictly.
    metadata = Metadata.from_email(text, validate=True)
    repository, description = "https://git.example/owner/name", str(metadata.description)
    files = f"{repository}/blob/v{__version__}/"
    assert re.findall(r"\]\((?!https://)", description) == []
    pictures = description.replace(files.replace("/blob/", "/raw/"), "")
    assert pictures.replace(files, "") == (ROOT / "README.md").read_text("utf-8")
    urls = metadata.project_urls or {}
    assert urls["Repository"] == repository
    assert urls["Changelog"] == f"{files}CHANGELOG.md"
    assert {"Documentation", "Issues"} < urls.keys()
    assert metadata.description_content_type == "text/markdown"
    assert metadata.license_expression == "MIT"
    assert str(metadata.requires_python) == f">={VERSIONS[0]}"
    assert set(metadata.provides_extra or ()) == {"aiohttp", "asymmetric", "cli", "redis"}
    classifiers = {f"Programming Language :: Python :: {version}" for version in VERSIONS}
    assert classifiers <= set(metadata.classifiers or ())


@pytest.fixture(scope="module")
def fresh_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with only the wheel and its run-time dependencies."""
    python = _with(wheel, Path(sys.executable), tmp_path_factory.mktemp("fresh"))
    _link(RUN_TIME, _site_packages(python))
    # The wheel requires nothing else.
    _run(_BIN / "uv", "pip", "check", "--python", python)
    return python


def _with(wheel: Path, interpreter: Path, folder: Path) -> Path:
    """The Python of a new environment with only the wheel."""
    python = _venv(interpreter, folder)
    _run(_BIN / "uv", "pip", "install", "--offline", "--no-deps", "--python", python, wheel)
    return python


def _venv(interpreter: Path, folder: Path) -> Path:
    """The Python of a new, empty environment."""
    _run(_BIN / "uv", "venv", "--offline", "--python", interpreter, folder / "venv")
    return folder / "venv/bin/python"


def _link(names: set[str], folder: Path) -> None:
    """Links the tools' copies of packages into a folder, because to install them takes longer."""
    for name in names:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            # uv does not follow links to metadata.
            link_or_copy = shutil.copytree if top.endswith("-info") else os.symlink
            link_or_copy(str(found.locate_file(top)), folder / top)


def _site_packages(python: Path) -> Path:
    return next(python.parent.parent.glob("lib/*/site-packages"))


def test_without_the_extra_the_command_names_it(fresh_python: Path) -> None:
    command = fresh_python.with_name("binance-small-liability")
    done = ended(command, "list")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "binance-small-liability[cli]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_installs_and_runs_on_the_oldest_and_newest_python(wheel: Path, tmp_path: Path) -> None:
    """Of those that are installed here. Other tests use this one."""
    this = f"{sys.version_info.major}.{sys.version_info.minor}"

    def is_here(version: str) -> bool:
        return version == this or any(_interpreters(version))

    oldest, newest = (next(filter(is_here, order), this) for order in (VERSIONS, VERSIONS[::-1]))
    others = {oldest, newest} - {this}
    if not others:
        pytest.skip(f"only Python {this} is installed here")
    for version in others:
        python = _with(wheel, next(_interpreters(version)), tmp_path / version)
        # Its dependencies and the command's are pure Python, so another version's copies work.
        script = (
            "import runpy, sys; sys.path.append(sys.argv[1]); sys.argv[1:] = ['--version']\n"
            "from binance_small_liability import SmallLiabilityClient\n"
            "from binance_small_liability.testing import FakeBinance\n"
            "fake = FakeBinance()\n"
            "client = SmallLiabilityClient(**fake.credentials, transport=fake.transport())\n"
            "with client: assert client.list_coins() == fake.coins\n"
            "runpy.run_module('binance_small_liability', run_name='__main__')"
        )
        packages = sysconfig.get_path("purelib")
        shown = _run(python, "-I", "-W", "error", "-c", script, packages)
        assert shown.startswith("binance-small-liability ")


def _interpreters(version: str) -> Iterator[Path]:
    on_path = [Path(folder) for folder in os.get_exec_path()]
    pyenv = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin")
    for folder in (*pyenv, *on_path):
        found = shutil.which(f"python{version}", path=str(folder))
        # An interpreter on the path may be a shim that does not start.
        if found and not ended(found, "-c", "").returncode:
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


def test_the_test_that_the_readme_shows(fresh_python: Path, tmp_path: Path) -> None:
    """It passes in an environment that has only the wheel and pytest, however the plugin loads."""
    readme = (ROOT / "README.md").read_text("utf-8")
    codes = re.findall(r"```python\n(.+?)```", readme, re.DOTALL)
    [shown] = [code for code in codes if "def test_" in code]
    python, folder = _venv(Path(sys.executable), tmp_path), tmp_path / "tests"
    _link(PYTEST, _site_packages(python))
    (_site_packages(python) / "linked.pth").write_text(f"{_site_packages(fresh_python)}\n")
    folder.mkdir()
    (folder / "test_service.py").write_text(shown)
    (folder / "conftest.py").write_text(_NO_NETWORK)
    options = ("-q", "-W", "error", "--rootdir", folder, folder)
    assert _run(python, "-I", "-c", _STARTS, *options).count("1 passed") == 2


# The plugin is named in a child process, and then found after the program imported it.
_STARTS = """
import os, sys, httpx, pytest
if not os.fork():
    sys.exit(pytest.main(["-p", "pytest_binance_small_liability", *sys.argv[1:]]))
assert os.wait()[1] == 0
import binance_small_liability, pytest_binance_small_liability
sys.exit(pytest.main(sys.argv[1:]))
"""
_NO_NETWORK = """
import sys

def refuse(event, arguments):
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1":
        raise AssertionError(f"the network is out of bounds: {arguments[1]}")

sys.addaudithook(refuse)
"""
