"""The sections of a page of Binance's documentation, which is a file in HTML or Markdown."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyromark
from lxml import etree

# A page within these bounds is read in less than 5 s.
MOST_BYTES, MOST_TAGS, MOST_LETTERS = 10 * 2**20, 50_000, 500_000
BLOCKS = ("h1", "h2", "h3", "h4", "h5", "h6", "table", "pre")
PLAIN = str.maketrans("（）：，；\xa0", "():,; ", "\u200b\u200c\u200d\ufeff")

# Files that contain a page in another form, and how they begin.
CONTAINERS = {
    "an MHTML archive or a mail": rb"(?i)\s*(?:[\w-]+:.*\n(?:[ \t].*\n)*)*?"
    rb"(?:mime-version:|content-type: *multipart/)",
    "a PDF": rb"\s*%PDF-",
    "an RTF document": rb"\s*\{\\rtf",
    "a web archive": rb"bplist00|WARC/|\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE plist|<plist)",
    "a JSON document": rb"""\s*(?:\{\s*["}]|\[\s*[]{["])""",
    "a ZIP archive or an Office document": rb"PK\x03\x04|\xd0\xcf\x11\xe0",
    "compressed": rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!",
    "a picture": rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP",
    "in UTF-16": rb"\xff\xfe|\xfe\xff|[\t\n\r -~]\0|\0[\t\n\r -~]",
}
HOW_TO_SAVE = 'save the page as "HTML only", or as Markdown, in UTF-8'


class UnreadableError(Exception):
    """A page cannot be read. `heading` begins the section that is the reason."""

    def __init__(self, reason: str, heading: str = "") -> None:
        super().__init__(reason, heading)
        self.reason = reason
        self.heading = heading


@dataclass
class Section:
    """A heading and what follows it, up to the next one."""

    tag: str
    heading: str
    tables: list[list[list[str]]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text without tables and code."""
        return "".join(self.rest).translate(PLAIN).strip()


def read(name: str) -> str:
    """The text of a file, or of standard input if `name` is "-"."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableError(str(error)) from error
    for kind, beginning in CONTAINERS.items():
        if re.match(beginning, content):
            raise UnreadableError(f"it is {kind}: {HOW_TO_SAVE}")
    if len(content) > MOST_BYTES:
        raise UnreadableError("it is larger than 10 MiB")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{error}: {HOW_TO_SAVE}") from error


def sections(text: str) -> list[Section]:
    """The sections of a page, in their order. The first one has no heading."""
    found = [Section("", "")]
    walk = etree.iterwalk(tree(text), ("start", "end"))
    for event, each in walk:
        if event == "end" or each.tag not in BLOCKS:
            found[-1].rest.append((each.text if event == "start" else each.tail) or "")
            continue
        walk.skip_subtree()
        found[-1].rest.append("\n")
        if each.tag == "table":
            # Rows of a table in a cell are text of that cell.
            rows = each.xpath("tr | thead/tr | tbody/tr | tfoot/tr")
            found[-1].tables.append([[text_of(cell) for cell in row] for row in rows])
        elif each.tag == "pre":
            found[-1].code.append(text_of(each))
        else:
            found.append(Section(each.tag, " ".join(text_of(each).split())))
    return found


def tree(text: str) -> Any:
    """A page in HTML or Markdown as a tree. Front matter is removed: its URL may be wrong."""
    text = re.sub(r"(?s)\A---\n.{,9999}?\n---\n", "", text, count=1)
    if not (text.lstrip().startswith("<") and re.search("(?i)<h[1-6]", text)):
        text = pyromark.html(text, options=pyromark.Options.ENABLE_TABLES)
    if text.count("<") > MOST_TAGS:
        raise UnreadableError(f"it has more than {MOST_TAGS} tags")
    # No attribute is used, and libxml2 takes an hour to parse a tag with a million of them.
    text = re.sub(r"""<([A-Za-z][\w-]*)(?:[^<>"']|"[^"]*"?|'[^']*'?)*>?""", r"<\1>", text)
    parser = etree.HTMLParser(huge_tree=True, remove_comments=True)
    found = etree.fromstring(f"<body> {text}", parser)
    for error in parser.error_log.filter_from_fatals():
        raise UnreadableError(error.message.strip())
    etree.strip_elements(found, "head", "script", "style", "template", "button", with_tail=False)
    if sum(map(len, found.itertext())) > MOST_LETTERS:
        raise UnreadableError(f"it has more than {MOST_LETTERS} letters")
    for each in list(found.iter("br", "p", "li", "div")):
        etree.SubElement(each, "span").text = "\n"
    return found


def text_of(element: Any) -> str:
    """The text of an element, in plain punctuation and without invisible characters."""
    return "".join(element.itertext()).translate(PLAIN).strip()
