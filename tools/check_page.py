"""Compares openapi.yaml with a page of Binance's documentation.

Prints one line for each difference, the most important first, and then a verdict. `-` reads
standard input. The exit code is 0 if all pages agree, 1 if one differs, 2 if one cannot be read.

    python -m tools.check_page page.md another.html
"""

import json
import re
import sys
from collections import ChainMap, defaultdict
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import pyromark
from lxml import etree

from tools import contract
from tools.contract import Key, Pairs, Statements, Values, collected, plain

MOST_BYTES, MOST_TAGS, MOST_STATEMENTS, MOST_LETTERS = 10 * 2**20, 500_000, 10_000, 300

# --- The words of a page, in English and in Chinese ---
BLOCKS = ("h1", "h2", "h3", "h4", "h5", "h6", "table", "pre")
SECURITY_TYPE = r"\(\s*([A-Z][A-Z_]{3,})\s*\)"
SECTIONS = {
    "weight": r"weight|权重",
    "parameters": r"param|参数",
    "error": r"error|错误",
    "response": r"respon|return|响应|返回",
    "request": r"http|request|请求",
}
COLUMNS = {
    "name": r"^((parameter )?name|parameter|名称|参数(名称?)?)$",
    "type": r"^((data )?type|(数据|参数)?类型)$",
    "mandatory": r"^(mandatory|(is )?required|(是否)?必[需须填要选])$",
    "description": r"^(description|描述|说明|备注)$",
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

ABSENT, MISSING = Values({"absent"}), "missing from the page"
# An example cannot show that a field is optional.
OPTIONAL = Values({"absent", "null"})


class UnreadableError(Exception):
    """The reason why a page cannot be read and, as a second argument, the heading."""


@dataclass
class Section:
    """A heading and what follows it, up to the next one."""

    heading: str
    kind: str
    tables: list[list[list[str]]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text without tables and code."""
        return "".join(self.rest).translate(PLAIN).strip()


# --- A page has sections, perhaps in several languages ---
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


def html(text: str) -> Any:
    """A page in HTML or Markdown as a tree. Front matter is removed: its URL may be wrong."""
    text = re.sub(r"(?s)\A---\n.{,9999}?\n---\n", "", text, count=1)
    if not (text.lstrip().startswith("<") and re.search("(?i)<h[1-6]", text)):
        text = pyromark.html(text, options=pyromark.Options.ENABLE_TABLES)
    if text.count("<") > MOST_TAGS:
        raise UnreadableError(f"more than {MOST_TAGS} tags")
    # No attribute is used, and libxml2 takes an hour to parse a tag with a million of them.
    text = re.sub(r"""<([A-Za-z][\w-]*)(?:[^<>"']|"[^"]*"?|'[^']*'?)*>?""", r"<\1>", text)
    parser = etree.HTMLParser(huge_tree=True, remove_comments=True)
    tree = etree.fromstring(f"<body> {text}", parser)
    for error in parser.error_log.filter_from_fatals():
        raise UnreadableError(error.message.strip())
    etree.strip_elements(tree, "head", "script", "style", "template", "button", with_tail=False)
    for each in list(tree.iter("br", "p", "li", "div")):
        etree.SubElement(each, "span").text = "\n"
    return tree


def sections(text: str) -> list[Section]:
    """The sections of a page, in their order."""
    found = [Section("", "other")]
    walk = etree.iterwalk(html(text), ("start", "end"))
    for event, each in walk:
        if event == "end" or each.tag not in BLOCKS:
            found[-1].rest.append((each.text if event == "start" else each.tail) or "")
            continue
        walk.skip_subtree()
        found[-1].rest.append("\n")
        if each.tag == "table":
            found[-1].tables.append([[text_of(cell) for cell in row] for row in each.iter("tr")])
        elif each.tag == "pre":
            found[-1].code.append(text_of(each))
        else:
            heading = " ".join(text_of(each).split())
            found.append(Section(heading, kind_of_section(each.tag, heading)))
    return found


def text_of(element: Any) -> str:
    """The text of an element, in plain punctuation and without invisible characters."""
    return "".join(element.itertext()).translate(PLAIN).strip()


def kind_of_section(tag: str, heading: str) -> str:
    """A heading with a security type is a title, and so is an h1 without any of the words."""
    kind = word_for(heading, SECTIONS) or ("title" if tag == "h1" else "other")
    return "title" if re.search(SECURITY_TYPE, heading) else kind


def word_for(text: str, words: dict[str, str]) -> str:
    """The first of our `words` for `text`, or nothing."""
    return next((ours for ours, theirs in words.items() if re.search(f"(?i){theirs}", text)), "")


def versions(text: str) -> dict[str, Statements]:
    """What a page says in each of its languages, by their titles."""
    parts: list[list[Section]] = [[]]
    for section in sections(text):
        parts += [[]] if section.kind == "title" else []
        parts[-1].append(section)
    found = {}
    for number, part in enumerate(parts):
        said = list(islice(statements(part), MOST_STATEMENTS))
        if len(said) == MOST_STATEMENTS:
            raise UnreadableError("too many parameters or fields")
        found[f'{number}, "{part[0].heading}"'] = collected(said)
    if not any(("path",) in said for said in found.values()):
        raise UnreadableError("no method and path")
    return found


# --- A page says something about an endpoint ---
def statements(page: list[Section]) -> Pairs:
    """All statements of a page in one language."""
    kinds = {kind: [each for each in page if each.kind == kind] for kind in SECTIONS}
    others = [each for each in page if each.kind not in ("weight", "response", "error")]
    yield from ((("security type",), word) for word in re.findall(SECURITY_TYPE, page[0].heading))
    yield from chain(*map(endpoint, kinds["request"] or others))
    yield from chain(*map(weight, kinds["weight"]))
    yield from parameters(others)
    yield from fields(list(chain(*map(examples, kinds["response"]))), ("response",))
    yield from chain(*map(rules, others))


def endpoint(section: Section) -> Pairs:
    """GET /sapi/v1/…"""
    for method, path in re.findall(ENDPOINT, "\n".join([section.text, *section.code])):
        yield from [(("method",), method.upper()), (("path",), path)]


def weight(section: Section) -> Pairs:
    """100, with the limiter in the heading or behind the number."""
    text = f"{section.heading}\n{section.text}"
    yield from ((("request weight",), plain(each)) for each in re.findall(NUMBER, text))
    yield from ((("limiter",), each) for each in re.findall(LIMITER, text))


def rules(section: Section) -> Pairs:
    """At most N coins, once in N hours."""
    text = "\n".join([section.text, *chain(*chain(*section.tables))])
    for sentence in re.split(r"[\n.;。]", text):
        if re.match(COINS, sentence):
            yield from ((("rule most-coins",), n) for n in re.findall(COUNT, sentence)[:1])
        for hours in re.findall(HOURS, sentence):
            yield ("rule once-in-hours",), hours if re.search(ONCE, sentence) else sentence.strip()


def parameters(parts: list[Section]) -> Pairs:
    """Tables with names and types, or "None"."""
    rows = [row for part in parts for table in part.tables for row in named_rows(table)]
    without = [each for each in parts if each.kind == "parameters" and not rows]
    for section in without:
        if section.tables or not re.match(NO_PARAMETERS, section.text):
            raise UnreadableError("no table of names and types", section.heading)
    if rows or any(section.text for section in without):
        yield ("parameter",), "table"
    yield from chain(*map(parameter, rows))


def named_rows(table: list[list[str]]) -> list[dict[str, str]]:
    """The rows of a table of parameters, by their columns."""
    columns = [word_for(cell, COLUMNS) for cell in chain(*table[:1])]
    rows = (defaultdict(str, zip(columns, row, strict=False)) for row in table[1:])
    return [row for row in rows if row["name"] and "type" in columns]


def parameter(row: dict[str, str]) -> Pairs:
    """One row: name, type, mandatory, and a description with default, minimum and maximum."""
    key, kind, mandatory = ("parameter", row["name"]), row["type"].upper(), row["mandatory"].upper()
    kind = "ARRAY" if re.match(r"ARRAY|LIST|.*\[\]$", kind) else TYPES.get(kind, kind)
    mandatory = MANDATORY.get(mandatory, mandatory)
    said = {"type": kind, "mandatory": mandatory}
    yield key, "listed"
    yield from (((*key, what), word) for what, word in said.items() if word)
    for what, words in BOUNDS.items():
        for found in re.findall(f"(?i){words}", row["description"][:9999]):
            yield (*key, what), plain("".join(found))
            if what == "default" and mandatory == "YES":
                yield (*key, "mandatory despite its default"), "YES"


def examples(section: Section) -> list[Any]:
    """The JSON documents in a section's examples, which may be outside a code block."""
    texts = section.code or re.findall(CODE_WITHOUT_BLOCK, section.text)
    try:
        return [document(text) for text in texts if text.strip()]
    except ValueError as error:
        raise UnreadableError(f"the example: {error}", section.heading) from error


def document(text: str) -> Any:
    """One parsed example. It may have comments, trailing commas or curly quotation marks."""
    for attempt in chain([text], map(corrected, dict.fromkeys((text, text.translate(STRAIGHT))))):
        try:
            return json.loads(attempt, strict=False)
        except json.JSONDecodeError as error:
            reason = error
    raise reason


def corrected(text: str) -> str:
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


# --- The contract says the same, or it differs ---
class Comparison(NamedTuple):
    """How a page differs from an operation, and what it does not say, by importance."""

    operation: str
    differences: dict[Key, str]
    unstated: list[str]


def nearest(openapi: Any, page: dict[str, Statements]) -> Comparison:
    """The comparison with the operation from which the page differs least."""
    found = [compared(openapi, *each, page) for each in contract.operations(openapi)]
    best = min(found, key=lambda each: len(each.differences))
    stated = next(each for each in page.values() if ("path",) in each)
    endpoint = f"{spelled(stated['method',])} {spelled(stated['path',])}"
    moved = len(best.differences) == 1 and get_close_matches(best.operation, [endpoint], 1, 0.8)
    if ("path",) in best.differences and not moved:
        return Comparison(endpoint, {("path",): f"path: {endpoint} is not in openapi.yaml"}, [])
    return best


def compared(openapi: Any, method: str, path: str, page: dict[str, Statements]) -> Comparison:
    """The comparison with one operation."""
    ours = contract.statements(openapi, method, path)
    decided = contract.page_differences(openapi, method, path)
    found = Comparison(f"{method} {path}", {}, [])
    # Only the things inside these are compared. The loop adds to them.
    agreed: set[Key] = {()}
    for key in (each for each in by_importance(ours, page) if each[:-1] in agreed):
        promised = ours.get(key, ABSENT)
        said = {title: it for title, each in page.items() if (it := says(each, key, promised))}
        if said and not agree({*said.values()}, promised, decided.get(named(key), [])):
            found.differences[key] = f"{named(key)}: {difference(key, said, promised)}"
        elif said and ABSENT not in (promised, *said.values()):
            agreed.add(key)
        elif not said:
            found.unstated.append(named(key))
    note_renamed(found.differences, ours, dict(ChainMap(*page.values())))
    return found


def by_importance(ours: Statements, page: dict[str, Statements]) -> list[Key]:
    """What to compare: in the contract's order, and each thing before what is inside it."""
    kinds = list(dict.fromkeys(key[0] for key in ours))
    new = (key for key in chain(*page.values()) if key[0] in ("parameter", "response"))
    return sorted(dict.fromkeys(chain(ours, new)), key=lambda key: (kinds.index(key[0]), len(key)))


def says(stated: Statements, key: Key, promised: Values) -> Values:
    """What a page says about `key`, in the contract's words: an integer is also a number.

    A parameter or field is absent if the page lists others but not this one.
    """
    wider = {"integer": "number", "decimal string": "string"}
    whole = stated.get(key[:-1], Values())
    said = stated.get(key) or (ABSENT if {"table", "object"} & whole else Values())
    return Values(wider[each] if wider.get(each) in promised else each for each in said)


def agree(said: set[Values], promised: Values, decided: list[str]) -> bool:
    """Whether a page and the contract say the same, except for what an example cannot show."""
    only = next(iter(said))
    same = only <= promised and (promised - only <= OPTIONAL or only <= OPTIONAL)
    return len(said) == 1 and (same or promised == {"anything"} or spelled(only) in decided)


def named(key: Key) -> str:
    """A thing's name, such as `response rows[].asset`."""
    inside = ".".join(key[1:]).replace(".[]", "[]") if key[0] == "response" else " ".join(key[1:])
    return f"{key[0]} {inside}".strip()


def spelled(values: Values) -> str:
    """Values as text."""
    return " or ".join(sorted(values))


def difference(key: Key, said: dict[str, Values], promised: Values) -> str:
    """Text: how a page and the contract, or the languages of a page, differ."""
    if {*said.values()} == {ABSENT}:
        return MISSING
    if promised == ABSENT and (key[0] == "response" or len(key) == 2):
        return "new on the page"
    on_page = f"{spelled(next(iter(said.values())))} on the page"
    if len({*said.values()}) > 1:
        on_page = " and ".join(f"{spelled(it)} in part {title}" for title, it in said.items())
    return f"{on_page}, {spelled(promised)} in openapi.yaml"


def note_renamed(differences: dict[Key, str], ours: Statements, stated: Statements) -> None:
    """If a thing is missing and a similar one beside it is new, say that it was renamed."""
    new = [key for key in differences if key not in ours][:100]
    for gone in [key for key, line in differences.items() if line.endswith(MISSING)]:
        near = {key[-1]: key for key in new if key[:-1] == gone[:-1] and stated[key] <= ours[gone]}
        for name in get_close_matches(gone[-1], near, 1) or [*near][: len(near) == 1]:
            differences[gone] = f"{named(gone)}: renamed to {name} on the page, it seems"
            del differences[near[name]]
            new.remove(near[name])


def check(openapi: Any, name: str) -> int:
    """Print how a page differs from the contract, and return the exit code."""
    source, text = "standard input" if name == "-" else name, ""
    try:
        text = read(name)
        operation, differences, unstated = nearest(openapi, versions(text))
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
    openapi = contract.load()
    return max((check(openapi, name) for name in names), default=2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
