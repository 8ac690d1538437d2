"""Pages of Binance's documentation, and changes of them."""

import json
from copy import deepcopy
from functools import cache
from pathlib import Path

from tools.adopt_page import adopt
from tools.contract import OPENAPI_YAML
from tools.yaml_edits import Document

PAGES = Path(__file__).parent / "pages"
COINS, EXCHANGE, HISTORY = "coin-list.html", "exchange.md", "history-escaped.md"

# Page, old text, new text, and the one line that reports the change, or nothing.
_ALL = [
    tuple(json.loads(line))
    for line in Path(__file__).with_suffix(".jsonl").read_text("utf-8").splitlines()
]
HARMLESS = [each for each in _ALL if not each[3]]
# A change in only one of the page's languages.
CONTRADICTIONS = [each for each in _ALL if each[3].endswith("in part 1")]
VARIANTS = [each for each in _ALL if each[3] and each not in CONTRADICTIONS]


@cache
def contract() -> str:
    """The text of openapi.yaml if Binance's pages were these. So it may change, and they stay."""
    pages = [str(PAGES / page) for page in (COINS, "exchange-one-line.md", HISTORY)]
    document = Document(OPENAPI_YAML.read_text("utf-8"))
    value = deepcopy(document.value)
    for schema in value["components"]["schemas"].values():
        if "properties" in schema:  # a page does not say whether a field is optional
            schema["required"] = list(schema["properties"])
    return adopt(document.edited(value).text, pages)[0]


def changed(page: str, old: str, new: str, count: int, folder: Path) -> str:
    """The name of a changed copy of a page."""
    text = (PAGES / page).read_text("utf-8")
    assert old in text
    (folder / page).write_text(text.replace(old, new, count), "utf-8")
    return str(folder / page)
