"""What PyInstaller adds to a program that imports this package. An entry point names it."""

from pathlib import Path


def folders() -> list[str]:
    """The folders of the hooks."""
    return [str(Path(__file__).parent)]
