"""`--env-file`: variables from a file."""

import os
import traceback
from pathlib import Path

import pytest
from binance_small_liability._config import VARIABLES
from binance_small_liability.cli.env_file import use_env_file
from binance_small_liability.cli.errors import WrongUseError

from tests.cli.command import Captured, fails, succeeds
from tests.wire import response, serving


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "test.env"
    path.write_bytes(_bytes(text))
    return str(path)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def test_it_replaces_the_environment(capsys: Captured, tmp_path: Path) -> None:
    with serving(response([])) as server:
        text = (
            "# a comment\n\n"
            'export BINANCE_API_KEY="from-the-file"\r\n'
            "BINANCE_API_SECRET = 's=ecret'\n"
            f"export\tBINANCE_BASE_URL={server.url}\n"
            "PATH=/nowhere\n"
        )
        succeeds(capsys, "list", "--env-file", write(tmp_path, text))
        assert server.requests[0].header("X-MBX-APIKEY") == "from-the-file"
    assert os.environ["BINANCE_API_SECRET"] == "s=ecret"
    assert os.environ["PATH"] != "/nowhere"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('KEY="a#b" # a "comment"', "a#b"),
        ("KEY='a # b'\t# it's a comment", "a # b"),
        ('KEY="a"b"', 'a"b'),
        ('KEY=""', ""),
        ("KEY=a#b # a comment", "a#b"),
        ("KEY= # a comment", ""),
        ("KEY=#a", "#a"),
        ("KEY=it's", "it's"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_value_is_read_as_in_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, value: str, encoding: str
) -> None:
    monkeypatch.setitem(VARIABLES, "key", "KEY")
    # As PowerShell's `>` ends lines.
    use_env_file(write(tmp_path, f"# é\r\n{line}\r\n".encode(encoding)))
    assert os.environ.pop("KEY") == value


def test_its_key_is_never_combined_with_a_secret_of_the_environment(
    capsys: Captured, tmp_path: Path
) -> None:
    file = write(tmp_path, "BINANCE_API_KEY=key\n")
    line = fails(capsys, 2, "list", "--env-file", file)
    assert line.endswith(f"BINANCE_API_SECRET or BINANCE_PRIVATE_KEY_FILE is missing in {file}\n")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "--env-file {} sets no BINANCE_ variable, such as BINANCE_API_KEY"),
        ("PATH=hush\n", "--env-file {} sets no BINANCE_ variable, such as BINANCE_API_KEY"),
        (
            "BINANCE_APIKEY=hush\nOPENAI_API_KEY=hush\nDATABASE_URL=hush\nBNANCE_API_SECRET=hush\n",
            "BINANCE_API_KEY is missing in {}, which has the unknown names BINANCE_APIKEY,"
            " BNANCE_API_SECRET",
        ),
    ],
)
def test_a_file_without_a_key(capsys: Captured, tmp_path: Path, text: str, wanted: str) -> None:
    file = write(tmp_path, text)
    line = fails(capsys, 2, "list", "--env-file", file)
    assert line == f"binance-small-liability: {wanted.format(file)}\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("BINANCE_API_KEY: hush\n", "line 1 is not NAME=value"),
        ("set BINANCE_API_KEY=hush\n", "line 1 is not NAME=value"),
        (b"hush \xff=\n", "not text in UTF-8"),
        ("BINANCE_API_KEY=hush\0\n", "line 1 is not NAME=value"),
        ("BINANCE_API_KEY='hush\n", "the quote in line 1 is not closed"),
        ('export BINANCE_API_KEY="\n', "the quote in line 1 is not closed"),
    ],
)
def test_its_faults_are_reported_without_its_values(
    capsys: Captured, tmp_path: Path, text: str | bytes, wanted: str
) -> None:
    line = fails(capsys, 2, "list", "--env-file", write(tmp_path, text))
    assert wanted in line
    assert "hush" not in line
    with pytest.raises(WrongUseError) as caught:
        use_env_file(write(tmp_path, b"BINANCE_API_SECRET=hush\n" + _bytes(text)))
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert "hush" not in str([frame.locals for frame in list(frames)[1:]])


@pytest.mark.parametrize(
    ("name", "reason"), [("/nowhere", "No such file"), ("/", "Is a directory")]
)
def test_a_file_that_cannot_be_read(capsys: Captured, name: str, reason: str) -> None:
    line = fails(capsys, 2, "list", "--env-file", name)
    assert f"--env-file {name} cannot be read: {reason}" in line


def test_a_home_folder_is_found(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # bash does not expand "~" in --env-file=~/test.env.
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, "BINANCE_API_KEY=key\n")
    assert "FILE is missing in ~/test.env" in fails(capsys, 2, "list", "--env-file=~/test.env")
