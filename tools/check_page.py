"""Compares openapi.yaml with a page of Binance's documentation.

Prints one line for each difference, the most important first, and then a verdict. `-` reads
standard input. The exit code is 0 if all pages agree, 1 if one differs, 2 if one cannot be read.

    python -m tools.check_page page.md another.html
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyromark
import yaml
from lxml import etree

from tools.statements import Decisions, Key, Pairs, Said, Statements, collected, operations, plain

OPENAPI_YAML = Path(__file__).resolve().parent.parent / "openapi.yaml"
MOST_BYTES, MOST_TAGS, MOST_PAIRS, MOST_LETTERS = 10 * 2**20, 500_000, 10_000, 300

# --- What the parts of a page look like, in English and in Chinese ---
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
SECURITY = re.compile(r"\(\s*([A-Z][A-Z_]{3,})\s*\)")
SECTIONS = {
    "weight": r"weight|权重",
    "parameters": r"param|参数",
    "error": r"error|错误",
    "response": r"respon|return|响应|返回",
    "request": r"http|request|请求",
}
COLUMNS = {
    "name": r"(parameter )?name|parameter|名称|参数(名称?)?",
    "type": r"(data )?type|(数据|参数)?类型",
    "mandatory": r"mandatory|(is )?required|(是否)?必[需须填要选]",
    "description": r"description|描述|说明|备注",
}
TYPES = {"INTEGER": "INT", "INT32": "INT", "INT64": "LONG", "BOOL": "BOOLEAN", "NUMBER": "DECIMAL"}
MANDATORY = {"TRUE": "YES", "是": "YES", "FALSE": "NO", "否": "NO", "OPTIONAL": "NO"}
NO_PARAMETERS = r"(?i)\W*(none\b|no\b|n/?a\b|无|没有|$)"
ENDPOINT = r"(?i)\b(GET|POST|PUT|DELETE|PATCH)[\s:]*(?:https?://[\w.-]+)?(/[A-Za-z0-9_/{}-]+)"
LIMITER = r"(?<![A-Za-z])(?:IP|UID)(?![A-Za-z])"
# No possessive quantifiers here: Python 3.11.2 matches them wrongly.
NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
# "30 days" is a time, not a bound of the parameter itself.
UNIT = r"\s*(?:(?:d|h|days?|hours?|months?)\b|个?[小月天日年])"
BOUND = rf"[^\d.;。,\n-]{{0,24}}?(-?{NUMBER})(?!\d|[.,]\d|{UNIT})"
NOT = r"(?:no|not|cannot|n't) (?:be )?"
MOST = rf"(?:\bmax(?:imum)?\b|at most|up to|{NOT}(?:more|greater|larger) than|{NOT}exceed"
MOST += r"|最[大多]|不[能得可]?(?:[大多高]于|超过)|上限|≤|<=)"
LEAST = rf"(?:\bmin(?:imum)?\b|at least|{NOT}less than|start(?:s|ing)? (?:from|at)"
LEAST += r"|最[小少]|不[能得可]?[小少低]于|至少|从|≥|>=)"
DEFAULT = rf"(?:default|默认)(?:{BOUND}|\W{{0,3}}((?-i:[A-Z_]{{2,}})|true|false)\b)"
BOUNDS = {"default": DEFAULT, "minimum": LEAST + BOUND, "maximum": MOST + BOUND}
COINS = rf"(?is)(?=.*(?:coin|asset|token|币|资产)).*{MOST}"
COUNT = r"(?i)(?<!\d)(\d+)(?!\d|\s*(?:B?USD|hours?|个?小时))"
HOURS = r"(?i)(?<!\d)(\d+)[\s-]*(?:hours?|hrs?|个?小时)"
ONCE = r"(?i)\bonce\b|\b(?:one|1) time\b|[一1]次"
PLAIN = str.maketrans("（）：，；\xa0", "():,; ", "\u200b\u200c\u200d\ufeff")
CODE_WITHOUT_BLOCK = r"(?s)\A[^\[{]*([\[{](?=[^:]*:).*[\]}])"
# In examples a comment ends with its line or, if there is only one, before a field or a bracket.
STRING = r'("(?:[^"\\\n]|\\.)*")'
COMMENT = r"/\*.*?(?:\*/|\Z)|\.{3}|…|(?://|\#).*?"
LINE_END, ONE_LINE_END = r"(?=\n|\Z)", r"""(?=\Z|[][{}]|["“'‘][^"“”'‘’]{1,64}["”'’]\s*:)"""
STRAIGHT = str.maketrans("“”„‘’'", '""""""')

ABSENT, MISSING, NEW = Said({"absent"}), "missing from the page", "new on the page"
# An example cannot show that a field is optional.
OPTIONAL = Said({"absent", "null"})


class UnreadableError(Exception):
    """The reason why a page cannot be read and, as a second argument, the heading."""


@dataclass
class Section:
    """A heading and what follows it, up to the next one."""

    heading: str
    kind: str
    text: str = ""  # without tables and code
    tables: list[list[list[str]]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)


# --- From a file to sections ---
def read(name: str) -> str:
    """The text of a file, or of standard input."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UnreadableError("larger than 10 MiB")
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(str(error)) from error


def elements(text: str) -> Any:
    """The elements of a page in HTML or Markdown. Front matter is removed: its URL may be wrong."""
    text = re.sub(r"(?s)\A---\n.{,9999}?\n---\n", "", text, count=1)
    if not (text.lstrip().startswith("<") and re.search("(?i)<h[1-6]", text)):
        text = pyromark.html(text, options=pyromark.Options.ENABLE_TABLES)
    if text.count("<") > MOST_TAGS:
        raise UnreadableError(f"more than {MOST_TAGS} tags")
    # No attribute is used, and libxml2 takes an hour to parse a tag with a million of them.
    text = re.sub(r"""<([A-Za-z][\w-]*)(?:[^<>"']|"[^"]*"?|'[^']*'?)*>?""", r"<\1>", text)
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True)
    tree = etree.fromstring(f"<body> {text}".encode(), parser)
    for error in (each for each in parser.error_log if each.level == etree.ErrorLevels.FATAL):
        raise UnreadableError(error.message.strip())
    etree.strip_elements(tree, "head", "script", "style", "template", "button", with_tail=False)
    return tree


def text_of(element: Any) -> str:
    """The text of an element, in plain punctuation and without invisible characters."""
    return "".join(element.itertext()).translate(PLAIN)


def kind_of_section(level: str, heading: str) -> str:
    """A title has a security type or is an h1; a word decides the kind of other headings."""
    kinds = (kind for kind, words in SECTIONS.items() if re.search(f"(?i){words}", heading))
    kind = next(kinds, "title" if level == "h1" else "other")
    return "title" if SECURITY.search(heading) else kind


def sections(text: str) -> list[Section]:
    """The sections of a page, in their order."""
    tree, mark = elements(text), uuid4().hex  # no page contains the mark
    for each in tree.iter("br", "p", "li", "div", *HEADINGS):
        each.tail = f"\n{each.tail or ''}"
    found, inside = [Section("", "other")], set[Any]()
    for each in list(tree.iter("table", "pre", *HEADINGS)):
        if each in inside:
            continue
        inside.update(each.iter("table", "pre", *HEADINGS))
        if each.tag == "table":
            rows = [[text_of(cell).strip() for cell in row] for row in each.iter("tr")]
            found[-1].tables.append(rows)
        elif each.tag == "pre":
            found[-1].code.append(text_of(each))
        else:
            heading = " ".join(text_of(each).split())
            found.append(Section(heading, kind_of_section(each.tag, heading)))
        each.clear(keep_tail=True)
        each.text = mark if each.tag in HEADINGS else "\n"
    for section, its_text in zip(found, text_of(tree).split(mark), strict=True):
        section.text = its_text.strip()
    return found


def versions(text: str) -> dict[str, Statements]:
    """What a page says in each of its languages, by their titles."""
    parts: list[list[Section]] = [[]]
    for section in sections(text):
        parts += [[]] if section.kind == "title" else []
        parts[-1].append(section)
    titled = {f'{number}, "{part[0].heading}"': part for number, part in enumerate(parts) if part}
    pairs = {title: [*islice(statements(part), MOST_PAIRS)] for title, part in titled.items()}
    found = {title: collected(said) for title, said in pairs.items()}
    if not any(("path",) in stated for stated in found.values()):
        raise UnreadableError("no method and path")
    if any(len(said) == MOST_PAIRS for said in pairs.values()):
        raise UnreadableError("too many parameters or fields")
    return found


# --- What the sections of a page say ---
def statements(page: list[Section]) -> Pairs:
    """All statements of a page in one language."""
    by_kind = {kind: [each for each in page if each.kind == kind] for kind in SECTIONS}
    rest = [each for each in page if each.kind not in ("weight", "response", "error")]
    yield from ((("security type",), word) for word in SECURITY.findall(page[0].heading))
    for section in by_kind["request"] or rest:
        for method, path in re.findall(ENDPOINT, "\n".join([section.text, *section.code])):
            yield from [(("method",), method.upper()), (("path",), path)]
    for section in by_kind["weight"]:
        text = f"{section.heading}\n{section.text}"
        yield from ((("request weight",), plain(each)) for each in re.findall(NUMBER, text))
        yield from ((("limiter",), each) for each in re.findall(LIMITER, text))
    yield from parameters(rest)
    yield from fields(list(chain(*map(examples, by_kind["response"]))), ("response",))
    for section in rest:
        text = "\n".join([section.text, *chain(*chain(*section.tables))])
        yield from chain(*map(rules, re.split(r"[\n.;。]", text)))


def rules(sentence: str) -> Pairs:
    """At most N coins, once in N hours."""
    if re.match(COINS, sentence):
        yield from ((("rule", "most-coins"), count) for count in re.findall(COUNT, sentence)[:1])
    for hours in re.findall(HOURS, sentence):
        yield ("rule", "once-in-hours"), hours if re.search(ONCE, sentence) else sentence.strip()


def parameters(parts: list[Section]) -> Pairs:
    """The rows of each table with names and types, or "None"."""
    rows = [row for section in parts for table in section.tables for row in named_rows(table)]
    for section in (each for each in parts if each.kind == "parameters" and not rows):
        if section.tables or not re.match(NO_PARAMETERS, section.text):
            raise UnreadableError("no table of names and types", section.heading)
        if section.text:
            yield ("parameter",), "table"
    for row in rows:
        key, kind = ("parameter", row["name"]), row["type"].upper()
        mandatory = MANDATORY.get(row["mandatory"].upper(), row["mandatory"].upper())
        array = re.match(r"ARRAY|LIST|.*\[\]$", kind)
        said = {"type": "ARRAY" if array else TYPES.get(kind, kind), "mandatory": mandatory}
        yield from [(("parameter",), "table"), (key, "listed")]
        yield from (((*key, what), word) for what, word in said.items() if word)
        for what, words in BOUNDS.items():
            for found in re.findall(f"(?i){words}", row["description"][:9999]):
                yield (*key, what), plain("".join(found))
                if what == "default" and mandatory == "YES":
                    yield (*key, "mandatory despite its default"), "YES"


def named_rows(table: list[list[str]]) -> Iterator[dict[str, str]]:
    """The rows of a table of parameters, by their columns."""
    columns = [
        next((what for what, words in COLUMNS.items() if re.fullmatch(f"(?i){words}", cell)), "")
        for cell in chain(*table[:1])
    ]
    rows = (defaultdict(str, zip(columns, row, strict=False)) for row in table[1:])
    return (row for row in rows if row["name"] and "type" in columns)


def examples(section: Section) -> Iterator[Any]:
    """The JSON documents in a section's examples, which may be outside a code block."""
    for text in section.code or re.findall(CODE_WITHOUT_BLOCK, section.text):
        try:
            yield from [document(text)] if text.strip() else []
        except ValueError as error:
            raise UnreadableError(f"the example: {error}", section.heading) from error


def document(text: str) -> Any:
    """One parsed example. It may have comments, trailing commas or curly quotation marks."""
    for attempt in chain([text], map(strict, dict.fromkeys((text, text.translate(STRAIGHT))))):
        try:
            return json.loads(attempt, strict=False)
        except json.JSONDecodeError as error:
            reason = error
    raise reason


def strict(text: str) -> str:
    """An example without comments, trailing commas and other syntax that JSON does not have."""
    end = LINE_END if "\n" in text.strip() else ONE_LINE_END
    text = re.sub(f"(?s){STRING}|{COMMENT}{end}", r"\1", text)
    text = re.sub(rf"{STRING}|,(?=\s*[\]}}])", r"\1", text)
    return re.sub(r"\\([^\"\\/bfnrtu])", r"\1", text)


def fields(values: list[Any], key: Key) -> Pairs:
    """The kinds of the values at `key` in examples, and of what they contain."""
    yield from ((key, kind) for kind in {kind_of(value) for value in values})
    objects = [value for value in values if isinstance(value, dict)]
    inside = defaultdict(list)
    for name, value in chain(*(each.items() for each in objects)):
        inside[name].append(value)
    for name, found in inside.items():
        yield from [((*key, name), "absent")] if len(found) < len(objects) else []
        yield from fields(found, (*key, name))
    if items := list(chain(*(value for value in values if isinstance(value, list)))):
        yield from fields(items, (*key, "[]"))


def kind_of(value: Any) -> str:
    """JSON's name of a value's type, or "decimal string"."""
    if isinstance(value, str):
        return "decimal string" if re.fullmatch(r"-?\d+(\.\d+)?", value) else "string"
    names = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


# --- The comparison ---
# The operation, the differences, and what the page does not say.
Comparison = tuple[str, dict[Key, str], list[str]]


def compared(ours: Statements, decided: Decisions, page: dict[str, Statements]) -> Comparison:
    """The differences between a page and an operation, and what the page omits, by importance."""
    differences, unstated = dict[Key, str](), list[str]()
    kinds = list(dict.fromkeys(key[0] for key in ours))
    keys = [key for key in dict.fromkeys(chain(ours, *page.values())) if key[0] in kinds]
    settled: set[Key] = set()  # the things inside these are not compared
    for key in sorted(keys, key=lambda key: (kinds.index(key[0]), len(key))):
        promised = ours.get(key, ABSENT)
        said = {title: it for title, each in page.items() if (it := says(each, key, promised))}
        if key[:-1] in settled or not said or ABSENT in (promised, *said.values()):
            settled.add(key)
        if key[:-1] in settled or (key[0] == "rule" and key not in ours):
            continue
        if not said and not promised & OPTIONAL:
            unstated.append(named(key))
        elif said and not agree({*said.values()}, promised, decided.get(named(key), [])):
            settled.add(key)
            differences[key] = f"{named(key)}: {difference(key, said, promised)}"
    stated = dict(chain(*(each.items() for each in page.values())))
    note_renamed(differences, ours, stated)
    return " ".join([*ours["method",], *ours["path",]]), differences, unstated


def says(stated: Statements, key: Key, promised: Said) -> Said:
    """What a page says about `key`, in the contract's words: an integer is also a number.

    A parameter or field is absent if the page lists others but not this one.
    """
    wider = {"integer": "number", "decimal string": "string"}
    whole = stated.get(key[:-1], Said())
    said = stated.get(key) or (ABSENT if {"table", "object"} & whole else Said())
    return Said(wider[each] if wider.get(each) in promised else each for each in said)


def agree(said: set[Said], promised: Said, decided: list[str]) -> bool:
    """Whether a page and the contract say the same, except for what an example cannot show."""
    only = next(iter(said))
    same = only <= promised and (promised - only <= OPTIONAL or only <= OPTIONAL)
    return len(said) == 1 and (same or promised == {"anything"} or spelled(only) in decided)


def named(key: Key) -> str:
    """A thing's name, such as `response rows[].asset`."""
    inside = ".".join(key[1:]).replace(".[]", "[]") if key[0] == "response" else " ".join(key[1:])
    return f"{key[0]} {inside}".strip()


def spelled(said: Said) -> str:
    """The alternatives of `said`, as text."""
    return " or ".join(sorted(said))


def difference(key: Key, said: dict[str, Said], promised: Said) -> str:
    """Text: how a page and the contract, or the languages of a page, differ."""
    if {*said.values()} == {ABSENT}:
        return MISSING
    if promised == ABSENT and (key[0] == "response" or len(key) == 2):
        return NEW
    on_page = f"{spelled(next(iter(said.values())))} on the page"
    if len({*said.values()}) > 1:
        on_page = " and ".join(f"{spelled(it)} in part {title}" for title, it in said.items())
    return f"{on_page}, {spelled(promised)} in openapi.yaml"


def note_renamed(differences: dict[Key, str], ours: Statements, stated: Statements) -> None:
    """If a thing is missing and a similar one beside it is new, say that it was renamed."""
    for gone in [key for key, line in differences.items() if line.endswith(MISSING)]:
        beside = {
            key[-1]: key
            for key, line in [*differences.items()][:100]
            if line.endswith(NEW) and key[:-1] == gone[:-1]
            if key[0] == "parameter" or stated[key] <= ours[gone]
        }
        for name in get_close_matches(gone[-1], beside, 1) or [*beside][: len(beside) == 1]:
            differences[gone] = f"{named(gone)}: renamed to {name} on the page, it seems"
            del differences[beside[name]]


def nearest(contract: Any, page: dict[str, Statements]) -> Comparison:
    """The comparison with the operation from which the page differs least."""
    found = [compared(ours, decided, page) for ours, decided in operations(contract)]
    operation, differences, unstated = min(found, key=lambda each: len(each[1]))
    stated = next(each for each in page.values() if ("path",) in each)
    endpoint = f"{spelled(stated['method',])} {spelled(stated['path',])}"
    moved = len(differences) == 1 and get_close_matches(operation, [endpoint], 1, 0.8)
    if ("path",) in differences and not moved:
        return endpoint, {("path",): f"path: {endpoint} is not in openapi.yaml"}, []
    return operation, differences, unstated


def check(contract: Any, name: str) -> int:
    """Print how a page differs from the contract, and return the exit code."""
    source, text = "standard input" if name == "-" else name, ""
    try:
        text = read(name)
        operation, differences, unstated = nearest(contract, versions(text))
    except (UnreadableError, RecursionError) as error:
        place = text.count("\n", 0, max(text.find(str(error.args[-1])), 0)) + 1
        print(f"{source}:{place}: cannot be read: {error.args[0]}", file=sys.stderr)
        return 2
    lines = [f"DIFFERS: {line}" for line in differences.values()]
    lines += [f"not on the page: {what}" for what in unstated]
    verdict = "differs from" if differences else "agrees with"
    for line in (*lines, f"{verdict} openapi.yaml ({operation})"):
        # Text of a page must not control the terminal or flood it.
        shown = "".join(each if each.isprintable() else "?" for each in line)
        print(f"{source}: {shown[:MOST_LETTERS]}")
    return int(bool(differences))


def main(names: list[str]) -> int:
    """Check each page, and return the highest exit code."""
    if not names:
        print(__doc__, file=sys.stderr)
    contract = yaml.safe_load(OPENAPI_YAML.read_text("utf-8"))
    return max((check(contract, name) for name in names), default=2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
