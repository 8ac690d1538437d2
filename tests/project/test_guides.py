"""The code in the README and in the guides runs unchanged against the fake Binance."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from binance_small_liability.testing import FakeBinance

from tools.contract import ROOT

GUIDES = ROOT / "docs/pages"
_BLOCK = re.compile(r'^```(\w+)(?: title="(.+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Language, title and text of each block of code that is not in a list."""
    return [(found[1], found[2] or "", found[3]) for found in _BLOCK.finditer(page.read_text())]


def with_code(language: str) -> list[Path]:
    pages = [ROOT / "README.md", *sorted(GUIDES.glob("*.md"))]
    return [page for page in pages if any(block[0] == language for block in blocks(page))]


@pytest.fixture(autouse=True)
def environment(
    fake_binance: FakeBinance,
    fake_binance_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new folder, and the output of `mock` in the environment and in mock.env."""
    variables = {
        "BINANCE_BASE_URL": fake_binance_url,
        "BINANCE_API_KEY": fake_binance.api_key,
        "BINANCE_API_SECRET": str(fake_binance.api_secret),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    (tmp_path / "mock.env").write_text("\n".join(f"{k}={v}" for k, v in variables.items()))
    monkeypatch.chdir(tmp_path)


def run(command: str) -> str:
    done = subprocess.run(
        shlex.split(command), check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", with_code("python"), ids=lambda page: page.stem)
def test_python_runs(page: Path, fake_binance: FakeBinance, fake_binance_url: str) -> None:
    names: dict[str, Any] = {}
    for language, title, text in blocks(page):
        if language == "console" and "openssl" in text:
            for line in text.splitlines():
                run(line.removeprefix("$ "))
        if language == "python" and not title:
            exec(compile(text, page.name, "exec"), names)  # noqa: S102 - it is this project's
    for name in [name for name in names if name.startswith("test_")]:
        names[name](fake_binance, fake_binance_url)


@pytest.mark.parametrize("page", with_code("console"), ids=lambda page: page.stem)
def test_commands_print_what_the_page_shows(page: Path) -> None:
    for language, _, text in blocks(page):
        if language == "console":
            for shown in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = shown.partition("\n")
                if command.startswith("binance-small-liability"):
                    assert run(command) == output


def test_the_tests_pass(tmp_path: Path) -> None:
    [(_, title, text)] = [block for block in blocks(GUIDES / "testing.md") if block[1]]
    (tmp_path / title).write_text(text)
    assert "2 passed" in run(f"{sys.executable} -m pytest -q -p no:cacheprovider {title}")


def test_the_lines_that_script_the_fake(fake_binance: FakeBinance) -> None:
    text = (GUIDES / "testing.md").read_text()
    lines = re.findall(r"`(fake\.[^`]+)`", text)
    assert len(lines) >= 9
    for line in lines:
        exec(line.replace("[…]", "[]"), {"fake": fake_binance})  # noqa: S102 - as above


def test_the_readme_is_short_and_its_links_have_a_target() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    links = re.findall(r"\]\(([^)#]+)", text)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
