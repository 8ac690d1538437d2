"""What the build adds to the metadata: links to the repository in which it runs.

This project does not contain the repository's address. A workflow of GitHub has it in its
environment. Other builds get no such links.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

API = "https://developers.binance.com/docs/margin_trading/trade/"
# A link of Markdown that is not a URL. The links of pictures begin with an exclamation mark.
_RELATIVE = re.compile(r"(!?)(\[[^]]*\])\((?!https?:|#)([^)]*)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Sets the fields `urls` and `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Changes the metadata of the project."""
        text = Path(self.root, "README.md").read_text("utf-8")
        urls = {"API documentation": f"{API}Get-Small-Liability-Exchange-Coin-List"}
        if name := os.environ.get("GITHUB_REPOSITORY"):
            server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
            repository = f"{server}/{name}"
            files = f"{repository}/blob/v{metadata['version']}"
            text = _RELATIVE.sub(lambda link: _absolute(files, *link.groups()), text)
            urls |= {
                "Repository": repository,
                "Documentation": f"{files}/docs/pages/index.md",
                "Changelog": f"{files}/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = urls


def _absolute(files: str, is_picture: str, text: str, path: str) -> str:
    folder = files.replace("/blob/", "/raw/") if is_picture else files
    return f"{is_picture}{text}({folder}/{path})"
