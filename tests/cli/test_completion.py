"""`completion`: scripts for bash, zsh and fish."""

from pathlib import Path

import pytest

from tests.cli.command import Captured, shell, succeeds

# What bash offers after the command and words, of which the last one is incomplete.
OFFERED = {
    "li": ["list"],
    "ex": ["exchange"],
    "hi": ["history"],
    "list --for": ["--format"],
    "exchange --y": ["--yes"],
    "history --si": ["--since"],
    "list --env-file mo": ["mock.env"],
    "exchange --env-file mo": ["mock.env"],
}


def test_completion_in_a_real_shell(tmp_path: Path) -> None:
    (tmp_path / "mock.env").touch()
    lines = ['script=$("$0" completion bash)', 'eval "$script"']
    for words in OFFERED:
        count = len(words.split())
        lines.append(
            f"COMP_WORDS=(binance-small-liability {words}) COMP_CWORD={count} COMPREPLY=()"
        )
        lines.append('_shtab_binance_small_liability; echo "${COMPREPLY[@]}"')
    done = shell("\n".join(lines), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [*OFFERED.values()]


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script(capsys: Captured, shell_name: str) -> None:
    script = succeeds(capsys, "completion", shell_name)
    for word in ("--env-file", "history", "exchange", "--since", "--yes"):
        assert word.strip("-" if shell_name == "fish" else "") in script
