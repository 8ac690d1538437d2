"""`completion`: scripts for bash, zsh and fish."""

from pathlib import Path

import pytest

from tests.cli.command import Captured, shell, succeeds


@pytest.fixture(scope="module")
def installed() -> str:
    """What the installed command prints for bash."""
    done = shell('"$0" completion bash')
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def completed(installed: str, words: str, folder: Path) -> list[str]:
    """What bash offers after the command and `words`, whose last one is incomplete."""
    script = (
        f"{installed}\n"
        f"COMP_WORDS=(binance-small-liability {words}) COMP_CWORD={len(words.split())}\n"
        '_shtab_binance_small_liability; echo "${COMPREPLY[@]}"'
    )
    done = shell(script, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("li", ["list"]),
        ("ex", ["exchange"]),
        ("hi", ["history"]),
        ("list --for", ["--format"]),
        ("exchange --y", ["--yes"]),
        ("history --si", ["--since"]),
        ("list --env-file mo", ["mock.env"]),
        ("exchange --env-file mo", ["mock.env"]),
    ],
)
def test_completion_in_a_real_shell(
    installed: str, words: str, wanted: list[str], tmp_path: Path
) -> None:
    (tmp_path / "mock.env").touch()
    assert completed(installed, words, tmp_path) == wanted


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script(capsys: Captured, shell_name: str) -> None:
    script = succeeds(capsys, "completion", shell_name)
    for word in ("--env-file", "history", "exchange", "--since", "--yes"):
        assert word.strip("-" if shell_name == "fish" else "") in script
