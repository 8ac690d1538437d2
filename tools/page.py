"""What a page of Binance's documentation says about an endpoint, in English and in Chinese."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

from tools.examples import document, shape
from tools.sections import Section, UnreadableError, sections
from tools.statements import Key, Pairs, Statements, collected, plain

MOST_STATEMENTS, MOST_TITLES, MOST_LETTERS = 10_000, 10, 300

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
ENUM = (
    r"(?<!\w)(?!(?:ENUM|JSON|API|FAQ|UTC|ID|IP)\b)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b(?<=\w\w)(?![-/])"
)
COINS = rf"(?is)(?=.*(?:coin|asset|token|币|资产)).*{MOST}"
COUNT = r"(?i)(?<!\d)(\d+)(?!\d|\s*(?:B?USD|hours?|个?小时))"
HOURS = r"(?i)(?<!\d)(\d+)[\s-]*(?:hours?|hrs?|个?小时)"
ONCE = r"(?i)\bonce\b|\b(?:one|1) time\b|[一1]次"
CODE_WITHOUT_BLOCK = r"(?s)\A[^\[{]*([\[{](?=[^:]*:).*[\]}])"
T = TypeVar("T")


class Page(NamedTuple):
    """What a page says in one of its languages."""

    label: str  # number and title of the part of the page
    title: str
    says: Statements
    words: dict[Key, str]  # the text in which it says so
    examples: list[Any]  # of the response


def read_pages(text: str) -> list[Page]:
    """What a page says in each of its languages. Raises UnreadableError."""
    parts: list[list[Section]] = [[]]
    for section in sections(text):
        parts += [[]] if kind_of_section(section) == "title" else []
        parts[-1].append(section)
    if len(parts) > MOST_TITLES:
        raise UnreadableError("too many titles: save the page of one endpoint")
    pages = [read_page(*each) for each in enumerate(parts)]
    if not any(("path",) in page.says for page in pages):
        raise UnreadableError("no method and path")
    described = (("parameter",), ("response",), ("request weight",))
    if not any(key in page.says for page in pages for key in described):
        raise UnreadableError("neither parameters nor response nor weight")
    return pages


def read_page(number: int, part: list[Section]) -> Page:
    """What a page says in one language."""
    kinds = defaultdict(list)
    for section in part:
        kinds[kind_of_section(section)].append(section)
    heading = part[0].heading
    found = list(chain(*map(examples, kinds["response"])))
    words: dict[Key, str] = {}
    said = list(islice(statements(heading, kinds, found, words), MOST_STATEMENTS))
    if len(said) == MOST_STATEMENTS:
        raise UnreadableError("too many parameters or fields")
    title = re.sub(rf"\s*{SECURITY_TYPE}.*", "", heading)
    return Page(f'{number}, "{heading}"', title, collected(said), words, found)


def kind_of_section(section: Section) -> str:
    """A heading with a security type is a title, and so is an h1 without any of the words."""
    if re.search(SECURITY_TYPE, section.heading):
        return "title"
    return word_for(section.heading, SECTIONS) or ("title" if section.tag == "h1" else "other")


def word_for(text: str, words: dict[str, str]) -> str:
    """The first of our `words` for `text`, or nothing."""
    return next((ours for ours, theirs in words.items() if re.search(f"(?i){theirs}", text)), "")


def statements(
    title: str, kinds: dict[str, list[Section]], found: list[Any], words: dict[Key, str]
) -> Pairs:
    """All statements of a page in one language. Adds the text of each to `words`."""

    def quoting(read: Callable[[T], Pairs], things: Iterable[T], text: Callable[[T], str]) -> Pairs:
        for thing in things:
            for key, value in read(thing):
                if key not in words:
                    words[key] = " ".join(text(thing)[:MOST_LETTERS].split())
                yield key, value

    def text_of(section: Section) -> str:
        return f"{section.heading} {section.text}"

    others = [each for kind in ("title", "parameters", "request", "other") for each in kinds[kind]]
    rows = [row for part in others for table in part.tables for row in named_rows(table)]
    yield from quoting(security_type, [title], str)
    yield from quoting(endpoint, kinds["request"] or others, text_of)
    yield from quoting(weight, kinds["weight"], text_of)
    yield from with_parameters(rows, kinds["parameters"])
    yield from quoting(parameter, rows, lambda row: " | ".join(row.values()))
    yield from shape(found, ("response",))
    yield from quoting(rules, chain(*map(sentences, others)), str)


def security_type(title: str) -> Pairs:
    """(USER_DATA)"""
    yield from ((("security type",), word) for word in re.findall(SECURITY_TYPE, title))


def endpoint(section: Section) -> Pairs:
    """GET /sapi/v1/…"""
    for method, path in re.findall(ENDPOINT, "\n".join([section.text, *section.code])):
        yield from [(("method",), method.upper()), (("path",), path)]


def weight(section: Section) -> Pairs:
    """100, with the limiter in the heading or behind the number."""
    text = f"{section.heading}\n{section.text}"
    yield from ((("request weight",), plain(each)) for each in re.findall(NUMBER, text))
    yield from ((("limiter",), each) for each in re.findall(LIMITER, text))


def sentences(section: Section) -> list[str]:
    """The sentences of a section and of its tables."""
    text = "\n".join([section.text, *chain(*chain(*section.tables))])
    return re.split(r"[\n.;。]", text)


def rules(sentence: str) -> Pairs:
    """At most N coins, once in N hours."""
    if re.match(COINS, sentence):
        yield from ((("rule most-coins",), n) for n in re.findall(COUNT, sentence)[:1])
    if all_hours := re.findall(HOURS, sentence):
        # Another rule about hours is a difference, whatever it says.
        rule = "" if re.search(ONCE, sentence) else sentence.strip()[:MOST_LETTERS]
        yield from ((("rule once-in-hours",), rule or hours) for hours in all_hours)


def with_parameters(rows: list[dict[str, str]], parts: list[Section]) -> Pairs:
    """Whether the page lists all parameters: in tables with names and types, or as "None"."""
    for section in [] if rows else parts:
        if section.tables or not re.match(NO_PARAMETERS, section.text):
            raise UnreadableError("no table of names and types", section.heading)
    if rows or any(section.text for section in parts):
        yield ("parameter",), "table"


def named_rows(table: list[list[str]]) -> list[dict[str, str]]:
    """The rows of a table of parameters, by their columns."""
    columns = [word_for(cell, COLUMNS) for cell in chain(*table[:1])]
    rows = (defaultdict(str, zip(columns, row, strict=False)) for row in table[1:])
    return [row for row in rows if row["name"] and "type" in columns]


def parameter(row: dict[str, str]) -> Pairs:
    """One row: name, type, mandatory, and a description with default, bounds or values."""
    key, kind, mandatory = ("parameter", row["name"]), row["type"].upper(), row["mandatory"].upper()
    kind = "ARRAY" if re.match(r"ARRAY|LIST|.*\[\]$", kind) else TYPES.get(kind, kind)
    mandatory = MANDATORY.get(mandatory, mandatory)
    said = {"type": kind, "mandatory": mandatory}
    yield key, "listed"
    yield from (((*key, what), word) for what, word in said.items() if word)
    description = row["description"][:9999]
    if kind == "ENUM":
        yield from (((*key, "enum"), word) for word in re.findall(ENUM, description))
    for what, words in BOUNDS.items():
        # "Max 5 symbols" is not a bound of a text.
        if what != "default" and kind not in ("INT", "LONG"):
            continue
        for found in re.findall(f"(?i){words}", description):
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
    except RecursionError as error:
        raise UnreadableError("the example is nested too deeply", section.heading) from error
