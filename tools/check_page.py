"""Do openapi.yaml and a page of Binance's documentation still say the same?

Prints one line for each difference, the most important first, and ends with a verdict. `-` reads
standard input. The exit code is 0 if all pages agree, 1 if one differs, 2 if one cannot be read.

    python -m tools.check_page page.md another.html
"""

import difflib
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from itertools import chain
from operator import getitem
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyromark
import yaml
from lxml import etree

OPENAPI_YAML = Path(__file__).resolve().parent.parent / "openapi.yaml"
MOST_BYTES, MOST_TAGS, MOST_LEVELS = 10 * 2**20, 600_000, 32

# What can be said: ("parameter", "size", "maximum"), ("response", "rows", "[]", "asset").
Key = tuple[str, ...]
# What a page or the contract says about it: alternatives, such as {"number", "decimal string"}.
Said = frozenset[str]
Statements = dict[Key, Said]
Pairs = Iterator[tuple[Key, str]]
ABSENT, ANYTHING = Said({"absent"}), Said({"anything"})

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
ARRAY = re.compile(r"ARRAY|LIST|.*\[\]$")
MANDATORY = dict.fromkeys(("Y", "TRUE", "REQUIRED", "是", "必需", "必填"), "YES")
MANDATORY |= dict.fromkeys(("N", "FALSE", "OPTIONAL", "否", "可选", "非必需"), "NO")
NO_PARAMETERS = re.compile(r"\W*(none\b|no\b|n/?a\b|无|没有)", re.IGNORECASE)
ENDPOINT = re.compile(
    r"\b(GET|POST|PUT|DELETE|PATCH)[\s:]*(?:https?://[\w.-]+)?(/[A-Za-z0-9_/{}-]+)", re.IGNORECASE
)
LIMITER = re.compile(r"(?<![A-Za-z])(?:IP|UID)(?![A-Za-z])")
NUMBER = r"\d++(?:,\d{3})*+(?:\.\d++)?+"
# "30 days" is a time, not a bound of the parameter itself.
BOUND = (
    rf"[^\d.;。,\n-]{{0,24}}?(-?{NUMBER})(?!\s*(?:(?:d|days?|h|hours?|months?)\b|个?[小月天日年]))"
)
NOT = r"(?:no|not|cannot|n't) (?:be )?"
BOUNDS = {
    "default": rf"(?:default|默认)(?:{BOUND}|\W{{0,3}}((?-i:[A-Z_]{{2,}})|true|false)\b)",
    "minimum": rf"(?:\bmin(?:imum)?\b|at least|{NOT}less than|start(?:s|ing)? (?:from|at)"
    rf"|最[小少]|不[能得可]?[小少低]于|至少|从|≥|>=){BOUND}",
    "maximum": rf"(?:\bmax(?:imum)?\b|at most|up to|{NOT}(?:more|greater|larger) than|{NOT}exceed"
    rf"|最[大多]|不[能得可]?(?:[大多高]于|超过)|上限|≤|<=){BOUND}",
}
MOST_COINS = re.compile(
    r"(?=.*(?:coin|asset|token|币|资产))(?=.*(?:max|at most|up to|no more than|exceed|最[多大]|超过|上限))"
    r".*?\b(\d++)(?!\s*(?:B?USD|hours?|个?小时))",
    re.IGNORECASE,
)
HOURS = re.compile(r"(\d++)[\s-]*(?:hours?|hrs?|个?小时)", re.IGNORECASE)
ONCE = re.compile(r"\bonce\b|\b(?:one|1) time\b|[一1]次", re.IGNORECASE)
PLAIN = str.maketrans("（）：，；\xa0", "():,; ", "\u200b\u200c\u200d\ufeff")

# In examples a comment ends with its line or, if there is only one, before a field or a bracket.
STRING = r'("(?:[^"\\\n]|\\.)*+")'
COMMENT = r"/\*.*?(?:\*/|\Z)|\.{3}|…|(?://|\#).*?"
LINE_END, ONE_LINE_END = r"(?=\n|\Z)", r"""(?=\Z|[][{}]|["“'‘][^"“”'‘’]{1,64}["”'’]\s*:)"""
STRAIGHT = str.maketrans("“”„‘’'", '""""""')


class UnreadableError(Exception):
    """Why a page cannot be read, and under which heading."""

    def __init__(self, reason: object, heading: str = "") -> None:
        super().__init__(reason)
        self.heading = heading


@dataclass
class Section:
    """A heading and what follows it, up to the next one."""

    heading: str
    kind: str
    text: str = ""  # without tables and code
    tables: list[list[list[str]]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)


def read(name: str) -> str:
    """The text of a file, or of standard input."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if len(content) > MOST_BYTES:
        raise UnreadableError("larger than 10 MiB")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not UTF-8 at byte {error.start}") from error


def elements(text: str) -> Any:
    """The elements of a page in HTML or Markdown, perhaps with front matter, whose URL can lie."""
    text = re.sub(r"\A\s*---\n.*?\n---[ \t]*\n", "", text, count=1, flags=re.DOTALL)
    if not (text.lstrip().startswith("<") and re.search("<h[1-6]", text, re.IGNORECASE)):
        text = pyromark.html(text, options=pyromark.Options.ENABLE_TABLES)
    if text.count("<") > MOST_TAGS:
        raise UnreadableError(f"more than {MOST_TAGS} tags")
    # Nothing here needs attributes, and for a tag with a million of them libxml2 takes an hour.
    text = re.sub(r"""<([A-Za-z][\w-]*)(?:[^<>"']|"[^"]*"?|'[^']*'?)*+>?""", r"<\1>", text)
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True)
    tree = etree.fromstring(f"<body> {text}".encode(), parser)
    for error in parser.error_log:
        if error.level == etree.ErrorLevels.FATAL:
            raise UnreadableError(error.message.strip())
    etree.strip_elements(tree, "head", "script", "style", "template", "button", with_tail=False)
    return tree


def text_of(element: Any) -> str:
    """The text of an element, in plain punctuation and without invisible characters."""
    if len(element):
        text = etree.tostring(element, method="text", encoding="unicode", with_tail=False)
    else:
        text = element.text or ""
    return str(text).translate(PLAIN)


def kind_of_section(level: str, heading: str) -> str:
    """A title has a security type or is on the first level; other headings are known by a word."""
    kinds = (kind for kind, words in SECTIONS.items() if re.search(words, heading, re.IGNORECASE))
    title = "title" if level == "h1" else "other"
    return "title" if SECURITY.search(heading) else next(kinds, title)


def sections(text: str) -> list[Section]:
    """The sections of a page, in their order."""
    tree = elements(text)
    for each in tree.iter("br", "p", "li", "div", *HEADINGS):
        each.tail = f"\n{each.tail or ''}"
    found, mark = [Section("", "other")], uuid4().hex  # no page contains the mark
    for each in tree.iter("table", "pre", *HEADINGS):
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
    """What a page says in each of its languages."""
    parts: list[list[Section]] = [[]]
    for section in sections(text):
        if section.kind == "title":
            parts.append([])
        parts[-1].append(section)
    found = {}
    for part in filter(None, parts):
        stated = collected(statements(part))
        chinese = re.search("[\u4e00-\u9fff]", "".join(section.heading for section in part))
        if any(key[0] != "rule" for key in stated):
            found[f"{'Chinese' if chinese else 'English'}, {part[0].heading}"] = stated
    if not any(("path",) in stated for stated in found.values()):
        raise UnreadableError("no method and path")
    return found


def collected(pairs: Pairs) -> Statements:
    """Statements, with all that was said about each thing."""
    found = defaultdict(set)
    for key, said in pairs:
        found[key].add(said)
    return {key: Said(said) for key, said in found.items()}


# --- What the sections of a page say ---
def statements(page: list[Section]) -> Pairs:
    """All that a page says in one language."""
    if security := SECURITY.search(page[0].heading):
        yield ("security type",), security[1]
    request = [section for section in page if section.kind == "request"]
    rest = [section for section in page if section.kind not in ("weight", "response", "error")]
    for section in request or rest:
        for method, path in ENDPOINT.findall("\n".join([section.text, *section.code])):
            yield from [(("method",), method.upper()), (("path",), path)]
    yield from parameters(rest)
    for section in (section for section in page if section.kind == "weight"):
        text = f"{section.heading}\n{section.text}"
        yield from ((("request weight",), plain(each)) for each in re.findall(NUMBER, text))
        yield from ((("limiter",), each) for each in LIMITER.findall(text))
    answers = chain.from_iterable(examples(each) for each in page if each.kind == "response")
    yield from fields(list(answers), ("response",))
    for section in rest:
        cells = chain.from_iterable(chain.from_iterable(section.tables))
        for sentence in re.split(r"[\n.;。]", "\n".join([section.text, *cells])):
            yield from rules(sentence)


def parameters(parts: list[Section]) -> Pairs:
    """The rows of each table with names and types, or "None"."""
    listed = False
    for header, *rows in (table for section in parts for table in section.tables if table):
        columns = {
            column: place
            for column, title in COLUMNS.items()
            for place, cell in enumerate(header)
            if re.fullmatch(title, cell, re.IGNORECASE)
        }
        if {"name", "type"} <= columns.keys():
            listed = True
            yield ("parameter",), "table"
            for row in rows:
                cells = {name: row[at] for name, at in columns.items() if at < len(row)}
                yield from parameter(defaultdict(str, cells))
    for section in parts:
        if section.kind == "parameters" and not listed and (section.text or section.tables):
            if not NO_PARAMETERS.match(section.text):
                raise UnreadableError("no table of names and types", section.heading)
            yield ("parameter",), "table"


def parameter(cells: dict[str, str]) -> Pairs:
    """One row: the type, whether it is mandatory, and what the description says in numbers."""
    key, kind, mandatory = ("parameter", cells["name"]), cells["type"].upper(), cells["mandatory"]
    mandatory = MANDATORY.get(mandatory.upper(), mandatory.upper())
    if cells["name"]:
        yield key, "listed"
    if kind:
        yield (*key, "type"), "ARRAY" if ARRAY.match(kind) else TYPES.get(kind, kind)
    if mandatory:
        yield (*key, "mandatory"), mandatory
    for name, words in BOUNDS.items():
        for found in re.finditer(words, cells["description"], re.IGNORECASE):
            yield (*key, name), plain(next(filter(None, found.groups())))
            if name == "default" and mandatory == "YES":
                yield (*key, "mandatory despite its default"), "YES"


def plain(value: object) -> str:
    """A number or a word, written in one way."""
    text = str(value).replace(",", "")
    return f"{Decimal(text).normalize():f}" if re.fullmatch(f"-?{NUMBER}", text) else text.upper()


def rules(sentence: str) -> Pairs:
    """At most N coins, once in N hours."""
    if coins := MOST_COINS.match(sentence):
        yield ("rule", "most-coins"), coins[1]
    if hours := HOURS.search(sentence):
        yield ("rule", "once-in-hours"), hours[1] if ONCE.search(sentence) else sentence.strip()


def examples(section: Section) -> Iterator[Any]:
    """The documents in the response examples of a section, which can have lost their code block."""
    lost = re.search(r"[\[{].*:.*[\]}]", section.text, re.DOTALL)
    for text in section.code or ([lost[0]] if lost else []):
        try:
            if text.strip():
                yield document(text)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"the example: {error}", section.heading) from error


def document(text: str) -> Any:
    """One example, which often has comments, trailing commas or other quotation marks."""
    for attempt in chain([text], map(strict, (text, text.translate(STRAIGHT)))):
        try:
            return json.loads(attempt, strict=False)
        except json.JSONDecodeError as error:
            reason = error
    raise reason


def strict(text: str) -> str:
    """An example without what JSON does not have."""
    end = LINE_END if "\n" in text.strip() else ONE_LINE_END
    text = re.sub(f"{STRING}|{COMMENT}{end}", r"\1", text, flags=re.DOTALL)
    text = re.sub(rf"{STRING}|,(?=\s*[\]}}])", r"\1", text)
    return re.sub(r"\\([^\"\\/bfnrtu])", r"\1", text)


def fields(values: list[Any], key: Key) -> Pairs:
    """The kinds of the values at `key` in examples, and of what they contain."""
    if len(key) > MOST_LEVELS:
        raise UnreadableError(f"an example has more than {MOST_LEVELS} levels")
    yield from ((key, kind) for kind in {kind_of(value) for value in values})
    inside = defaultdict(list)
    objects = [value for value in values if isinstance(value, dict)]
    for name, value in (pair for each in objects for pair in each.items()):
        inside[name].append(value)
    for name, found in inside.items():
        if len(found) < len(objects):
            yield (*key, name), "absent"
        yield from fields(found, (*key, name))
    if items := [item for value in values if isinstance(value, list) for item in value]:
        yield from fields(items, (*key, "[]"))


def kind_of(value: Any) -> str:
    """JSON's name of a value's type; decimals in strings have one of their own."""
    if isinstance(value, str):
        return "decimal string" if re.fullmatch(r"-?\d+(\.\d+)?", value) else "string"
    names = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


# --- What the contract says ---
def resolved(contract: Any, node: Any) -> Any:
    """A part of the contract, or what it refers to."""
    while "$ref" in node:
        node = reduce(getitem, node["$ref"].split("/")[1:], contract)
    return node


def promises(contract: Any, method: str, path: str) -> Pairs:
    """All that the contract says about an operation, the most important first."""
    operation = contract["paths"][path][method]
    yield from [(("method",), method.upper()), (("path",), path)]
    yield ("security type",), operation["x-security-type"]
    yield ("parameter",), "table"
    for given in (resolved(contract, each) for each in operation.get("parameters", [])):
        key, schema = ("parameter", given["name"]), resolved(contract, given["schema"])
        yield from [(key, "listed"), ((*key, "type"), page_type(schema))]
        yield (*key, "mandatory"), "YES" if given.get("required") else "NO"
        yield from (((*key, name), plain(schema[name])) for name in BOUNDS if name in schema)
    for scheme in contract["components"]["securitySchemes"].values():
        if scheme["in"] == "query":  # pages may list it
            key = ("parameter", scheme["name"])
            yield from [(key, "listed"), (key, "absent")]
            yield from [((*key, "type"), "STRING"), ((*key, "mandatory"), "YES")]
    answer = resolved(contract, operation["responses"]["200"])["content"]["application/json"]
    yield from shape(contract, answer["schema"], ("response",))
    yield ("request weight",), plain(operation["x-request-weight"])
    yield ("limiter",), operation["x-request-weight-by"]
    yield from (((("rule", name)), plain(n)) for name, n in operation.get("x-rules", {}).items())


def page_type(schema: Any) -> str:
    """What a page would call the type of a parameter."""
    kind = "ENUM" if "enum" in schema else kind_in(schema, str(schema.get("type")))
    names = {"integer": "LONG" if schema.get("format") == "int64" else "INT", "number": "DECIMAL"}
    return names.get(kind, kind.removesuffix(" string")).upper()


def kind_in(schema: Any, kind: str) -> str:
    """A type of a schema; decimals in strings have one of their own."""
    pattern = schema.get("pattern", "")
    decimal = re.search(pattern, "0.1") and not re.search(pattern, "ETH")
    return "decimal string" if kind == "string" and decimal else kind


def shape(contract: Any, schema: Any, key: Key) -> Pairs:
    """The kinds of values at `key` in an answer, and of what they contain."""
    schema = resolved(contract, schema)
    for part in (each for word in ("oneOf", "anyOf", "allOf") for each in schema.get(word, ())):
        yield from shape(contract, part, key)
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        yield key, kind_in(schema, kind)
    for name, inside in schema.get("properties", {}).items():
        yield from shape(contract, inside, (*key, name))
        if name not in schema.get("required", ()):
            yield (*key, name), "absent"
    if "items" in schema:
        yield from shape(contract, schema["items"], (*key, "[]"))
    if not schema:
        yield from [(key, "anything"), ((*key, "[]"), "anything")]


# --- The comparison ---
@dataclass
class Comparison:
    """How a page differs from an operation of the contract, and what the page does not say."""

    operation: str
    differences: dict[Key, str] = field(default_factory=dict)
    unstated: list[str] = field(default_factory=list)


def compared(operation: Any, ours: Statements, page: dict[str, Statements]) -> Comparison:
    """A page beside an operation of the contract, in the order of importance."""
    result = Comparison(" ".join([*ours["method",], *ours["path",]]))
    decided = {each["where"]: each["page"] for each in operation.get("x-page-differences", [])}
    kinds = list(dict.fromkeys(key[0] for key in ours))
    keys = dict.fromkeys(key for stated in (ours, *page.values()) for key in stated)
    settled: set[Key] = set()  # what is in these is not compared
    for key in sorted(
        (key for key in keys if key[0] in kinds), key=lambda key: (kinds.index(key[0]), len(key))
    ):
        promised = ours.get(key, ABSENT)
        said = {
            language: widened(it, promised)
            for language, stated in page.items()
            if (it := says(stated, key))
        }
        if key[:-1] in settled or not said or ABSENT in (promised, *said.values()):
            settled.add(key)
        if key[:-1] in settled or agree(said, promised) or (key[0] == "rule" and key not in ours):
            continue
        if not said:
            result.unstated.append(named(key))
        elif len(set(said.values())) > 1 or spelled(*set(said.values())) not in decided.get(
            named(key), ()
        ):
            settled.add(key)
            result.differences[key] = difference(key, said, promised)
    note_renamed(result.differences, ours, page)
    return result


def says(stated: Statements, key: Key) -> Said | None:
    """What is said about `key`: it is absent if other parts of the same whole are there."""
    whole = stated.get(key[:-1], Said())
    return stated.get(key) or (ABSENT if {"table", "object"} & whole else None)


def widened(said: Said, promised: Said) -> Said:
    """What a page says, in the contract's words: an integer is a number as well."""
    wider = {"integer": "number", "decimal string": "string"}
    return Said(each if each in promised else wider.get(each, each) for each in said)


def agree(said: dict[str, Said], promised: Said) -> bool:
    """Whether page and contract say the same, but for what an example cannot show."""
    optional = Said({"absent", "null"})
    if len(set(said.values())) != 1:
        return not said and bool(promised & optional)
    only = next(iter(said.values()))
    same = only <= promised and (promised - only <= optional or only <= optional)
    return same or promised == ANYTHING


def named(key: Key) -> str:
    """A thing's name, such as `response rows[].asset`."""
    inside = ".".join(key[1:]).replace(".[]", "[]") if key[0] == "response" else " ".join(key[1:])
    return f"{key[0]} {inside}".strip()


def spelled(said: Said) -> str:
    return " or ".join(sorted(said))


def difference(key: Key, said: dict[str, Said], promised: Said) -> str:
    """How a page and the contract, or the page's languages, differ about a thing."""
    on_page = " and ".join(f"{spelled(it)} on the page" for it in set(said.values()))
    if len(set(said.values())) > 1:
        on_page = " and ".join(f"{spelled(it)} in {language}" for language, it in said.items())
    elif ABSENT in said.values():
        return f"{named(key)}: missing from the page"
    elif promised == ABSENT and (key[0] == "response" or len(key) == 2):
        return f"{named(key)}: new on the page"
    return f"{named(key)}: {on_page}, {spelled(promised)} in openapi.yaml"


def note_renamed(
    differences: dict[Key, str], ours: Statements, page: dict[str, Statements]
) -> None:
    """Where one thing is missing and a like one is new beside it, say that it was renamed."""
    stated = {key: said for each in page.values() for key, said in each.items()}
    new = [key for key in list(differences)[:100] if key not in ours]
    gone = [key for key in differences if key in ours and key not in stated]
    for key in gone:
        beside = {
            other[-1]: other
            for other in new
            if other[:-1] == key[:-1]
            and other in differences
            and (key[0] == "parameter" or widened(stated[other], ours[key]) <= ours[key])
        }
        alone = len(beside) == sum(other[:-1] == key[:-1] for other in gone) == 1
        for name in difflib.get_close_matches(key[-1], beside, 1) or (
            list(beside) if alone else []
        ):
            differences[key] = f"{named(key)}: renamed to {name} on the page, it seems"
            del differences[beside[name]]


def nearest(contract: Any, page: dict[str, Statements]) -> Comparison:
    """The page beside the operation from which it differs least."""
    result = min(
        (
            compared(operation, collected(promises(contract, method, path)), page)
            for path, item in contract["paths"].items()
            for method, operation in item.items()
        ),
        key=lambda each: len(each.differences),
    )
    if ("path",) in result.differences and len(result.differences) > 1:
        said = next(stated for stated in page.values() if ("path",) in stated)
        endpoint = f"{spelled(said['method',])} {spelled(said['path',])}"
        return Comparison(endpoint, {("path",): f"endpoint: {endpoint} is not in openapi.yaml"})
    return result


def check(contract: Any, name: str) -> int:
    """Print how a page differs from the contract, and return the exit code."""
    source, text = "standard input" if name == "-" else name, ""
    try:
        text = read(name)
        found = nearest(contract, versions(text))
    except UnreadableError as error:
        line = text.count("\n", 0, max(text.find(error.heading), 0)) + 1
        print(f"{source}:{line}: cannot be read: {error}", file=sys.stderr)
        return 2
    count = len(found.differences)
    verdict = f"differs from openapi.yaml in {count}" if count else "agrees with openapi.yaml"
    lines = [f"DIFFERS: {line}" for line in found.differences.values()]
    lines += [f"not on the page: {', '.join(found.unstated)}"] if found.unstated else []
    for line in (*lines, f"{verdict} ({found.operation})"):
        # What a page contains must not be able to control a terminal or to fill it.
        print(f"{source}:", "".join(each if each.isprintable() else "?" for each in line[:300]))
    return int(count > 0)


def main(names: list[str]) -> int:
    """Check each page; the exit code is that of the worst."""
    contract = yaml.safe_load(OPENAPI_YAML.read_text("utf-8"))
    codes = [check(contract, name) for name in names]
    return max(codes)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1:]))
