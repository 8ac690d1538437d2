"""An isolated environment per contestant, made from a hash-pinned lock."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.contestants import OURS

ROOT = Path(__file__).resolve().parent.parent
_HERE = Path(__file__).resolve().parent
_FOLDER = _HERE / ".environments"
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


class OutOfTheRaceError(Exception):
    """A contestant cannot be installed or run; the message is the reason."""


class Environment(NamedTuple):
    """Where a contestant is installed.

    Attributes:
        python: its interpreter.
        version: of the distribution that it is made for.
        distributions: how many it took, the contestant's own included.
        size: bytes of all installed files, compiled modules apart.
        compiled: bytes of the compiled modules.
    """

    python: Path
    version: str
    distributions: int
    size: int
    compiled: int


def lock_of(name: str) -> Path:
    """The lock of the environment `name`."""
    return _HERE / "requirements" / f"{name}.txt"


def build_wheel() -> Path:
    """The wheel of this project as it stands."""
    folder = _FOLDER / "wheel"
    hatchling = Path(sys.executable).parent / "hatchling"
    _run(hatchling, "build", "--target", "wheel", "--clean", "--directory", folder)
    [wheel] = folder.glob("*.whl")
    return wheel


def prepare(name: str, wheel: Path) -> Environment:
    """The environment `name`, made anew where its lock has changed; in ours stands `wheel`.

    Raises:
        OutOfTheRaceError: it cannot be installed.
    """
    folder = _FOLDER / name
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    wanted = f"{sys.version}\n{lock_of(name).read_text('utf-8')}"
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
        _pip(python, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", lock_of(name))
        stamp.write_text(wanted, "utf-8")
    if name.startswith(OURS):
        _pip(python, "--no-deps", "--force-reinstall", wheel)
    _run(*_PIP, "--python", python, "check")
    [packages] = folder.glob("lib/python*/site-packages")
    files = [path for path in packages.rglob("*") if path.is_file()]
    compiled = [path for path in files if path.suffix == ".pyc"]
    distribution = OURS if name.startswith(OURS) else name
    [metadata] = packages.glob(f"{distribution.replace('-', '_')}-[0-9]*.dist-info")
    return Environment(
        python,
        version=metadata.stem.partition("-")[2],
        distributions=len(list(packages.glob("*.dist-info"))),
        size=_bytes(files) - _bytes(compiled),
        compiled=_bytes(compiled),
    )


def _bytes(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _pip(python: Path, *words: str | Path) -> None:
    _run(*_PIP, "--python", python, "install", *words)


def _run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        raise OutOfTheRaceError(lines[-1].replace(f"{ROOT}/", ""))
