"""Edits a YAML text: only what differs changes. Comments, order, quotes and blank lines stay."""

import json
import re
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import yaml

from tools.contract import Loader, loaded

MOST_COLUMNS, MOST_IN_FLOW = 100, 30


class Edit(NamedTuple):
    """Replaces a part of a text."""

    start: int
    end: int
    new: str


class Entry(NamedTuple):
    """A key with its value, or an item of a list, in block style.

    Attributes:
        start: where the key or the dash begins.
        after: where the text of the value begins: after the colon or the dash.
    """

    name: str
    start: int
    after: int
    column: int
    key: Any
    node: Any


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal. True is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


class Document:
    """A YAML text that was read.

    Attributes:
        text: the text.
        value: what it means. It must not be changed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._loader = Loader(text)
        self._root = self._loader.get_single_node()
        self.value = self._value(self._root)

    def edited(self, value: Any) -> "Document":
        """The document with the smallest edits after which it means `value`."""
        try:
            new = self._with(list(self._edits(self._root, value)))
            if same(new.value, value):
                return new
        except (yaml.YAMLError, ValueError):
            pass
        raise RuntimeError("it cannot be written: the form of openapi.yaml or a text is unusual")

    def moved(self, old: tuple[str, str, str], new: tuple[str, str, str]) -> "Document":
        """The document with the entry at a place of three keys, in block style, elsewhere."""
        return self._with(self._move(old, new))

    def _with(self, edits: list[Edit]) -> "Document":
        text = self.text
        for edit in sorted(edits, reverse=True):
            text = text[: edit.start] + edit.new + text[edit.end :]
        return Document(text)

    def _move(self, old: tuple[str, str, str], new: tuple[str, str, str]) -> list[Edit]:
        """The edits that move an entry, with its comments, to another name in another mapping."""
        top, outer, inner = old
        parent = next(each for each in self._keys(self._root) if each.name == top)
        groups = list(self._keys(parent.node))
        group = next(each for each in groups if each.name == outer)
        entries = list(self._keys(group.node))
        entry = next(each for each in entries if each.name == inner)
        target = next((each for each in groups if each.name == new[1]), None)
        if target is group or (target is None and len(entries) == 1):
            return [_renamed(group, new[1]), _renamed(entry, new[2])]
        place = entries.index(entry), entries.index(entry) + 1
        gone = self._removed(entries, *place)
        if len(entries) == 1:
            gone = self._removed(groups, groups.index(group), groups.index(group) + 1)
        whole = self.text[entry.after : self._line_end(entry)]
        added = f"\n{' ' * entry.column}{scalar(new[2])}:{whole}"
        if target is None:
            added = f"\n\n{' ' * group.column}{scalar(new[1])}:{added}"
        end = self._line_end(target or group)
        return [gone, Edit(end, end, added)]

    def _value(self, node: Any) -> Any:
        return self._loader.construct_object(node, deep=True)

    def _edits(self, node: Any, value: Any) -> Iterator[Edit]:
        """The edits within a node in block style."""
        is_list = isinstance(node, yaml.SequenceNode)
        entries = list(self._items(node) if is_list else self._keys(node))
        names = [_name(each) for each in value] if is_list else list(value)
        values = value if is_list else list(value.values())
        matcher = SequenceMatcher(None, [each.name for each in entries], names, autojunk=False)
        for _, start, end, new_start, new_end in matcher.get_opcodes():
            pairs = min(end - start, new_end - new_start)
            for entry, name, new in zip(
                entries[start : start + pairs],
                names[new_start:],
                values[new_start:],
                strict=False,
            ):
                if entry.key is not None and entry.name != name:
                    yield _renamed(entry, name)
                yield from self._changed(entry, new, keeps_quotes=entry.name == name)
            if start + pairs < end:
                yield self._removed(entries, start + pairs, end)
            if new_start + pairs < new_end:
                added = range(new_start + pairs, new_end)
                yield self._added(
                    entries, start + pairs, [(names[each], values[each]) for each in added], is_list
                )

    def _changed(self, entry: Entry, value: Any, *, keeps_quotes: bool) -> Iterator[Edit]:
        node, old = entry.node, self._value(entry.node)
        if same(old, value):
            return
        block = isinstance(node, yaml.CollectionNode) and not node.flow_style
        if block and value and _resembles(old, value):
            yield from self._edits(node, value)
            return
        if keeps_quotes and isinstance(value, str) and getattr(node, "style", None) == '"':
            new = f" {json.dumps(value, ensure_ascii=not value.isprintable())}"
        else:
            new = written(value, entry.column, after_dash=entry.key is None)
        yield Edit(entry.after, self._end(node), new)

    def _removed(self, entries: list[Entry], start: int, end: int) -> Edit:
        if start == 0:  # comments of the next entry stay
            rest = self.text[self._line_end(entries[end - 1]) :]
            return Edit(entries[0].start, len(self.text) - len(rest.lstrip()), "")
        return Edit(self._line_end(entries[start - 1]), self._line_end(entries[end - 1]), "")

    def _added(
        self, entries: list[Entry], at: int, new: list[tuple[str, Any]], is_list: bool
    ) -> Edit:
        column = entries[0].column
        gap = "\n\n" if self._has_blank_lines(entries) else "\n"
        texts = [
            f"{'-' if is_list else f'{scalar(name)}:'}{written(value, column, is_list)}"
            for name, value in new
        ]
        if at == 0:
            start = entries[0].start
            return Edit(start, start, "".join(f"{each}{gap}{' ' * column}" for each in texts))
        start = self._line_end(entries[at - 1])
        return Edit(start, start, "".join(f"{gap}{' ' * column}{each}" for each in texts))

    def _has_blank_lines(self, entries: list[Entry]) -> bool:
        return any(
            "\n\n" in self.text[self._end(one.node) : other.start]
            for one, other in pairwise(entries)
        )

    def _keys(self, node: Any) -> Iterator[Entry]:
        for key, value in node.value:
            after = self.text.index(":", key.end_mark.index) + 1
            start = key.start_mark
            yield Entry(self._value(key), start.index, after, start.column, key, value)

    def _items(self, node: Any) -> Iterator[Entry]:
        for item in node.value:
            start = self.text.rindex("-", 0, item.start_mark.index + 1)
            column = start - self.text.rfind("\n", 0, start) - 1
            yield Entry(_name(self._value(item)), start, start + 1, column, None, item)

    def _end(self, node: Any) -> int:
        """Where the text of a node ends, without the comments and line breaks after it."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style:
            last = node.value[-1]
            return self._end(last[1] if isinstance(last, tuple) else last)
        end: int = node.end_mark.index
        if getattr(node, "style", None) in ("|", ">"):
            return len(self.text[:end].rstrip())
        return end

    def _line_end(self, entry: Entry) -> int:
        end = self.text.find("\n", self._end(entry.node))
        return len(self.text) if end < 0 else end


def _renamed(entry: Entry, name: str) -> Edit:
    return Edit(entry.key.start_mark.index, entry.key.end_mark.index, scalar(name))


def _resembles(old: Any, new: Any) -> bool:
    """Whether a list or an object is the old one with changes, rather than another one."""
    if isinstance(old, dict) and isinstance(new, dict):
        return not old.keys().isdisjoint(new) or any(
            same(one, other) for one in old.values() for other in new.values()
        )
    return isinstance(old, list) and isinstance(new, list)


def _name(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


# --- New text, in the style of the contract ---
def written(value: Any, column: int, after_dash: bool = False) -> str:
    """What follows a key's colon or a dash in `column`, with the space before it."""
    if isinstance(value, str):
        return f" {text_of(value, column)}"
    if not isinstance(value, dict | list) or not value:
        return f" {scalar(value)}"
    if isinstance(value, list) and all(len(scalar(each)) <= MOST_IN_FLOW for each in value):
        flow = f" [{', '.join(scalar(each, 'flow') for each in value)}]"
        if column + len(flow) < MOST_COLUMNS - 20:
            return flow
    block = block_of(value, column + 2)
    return f" {block.lstrip()}" if after_dash else f"\n{block}"


def text_of(text: str, column: int) -> str:
    """A text, in several lines if it has some or is long."""
    indent = " " * (column + 2)
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > 1 and text.endswith("\n") and all(map(_is_line, lines)):
        return "\n".join(["|", *(f"{indent}{line}" for line in lines)])
    if len(text) + column > MOST_COLUMNS and text == " ".join(text.split()):
        wide = max(MOST_COLUMNS - len(indent), 20)
        lines = textwrap.wrap(text, wide, break_long_words=False, break_on_hyphens=False)
        return "\n".join([">-", *(f"{indent}{line}" for line in lines)])
    return scalar(text)


def _is_line(text: str) -> bool:
    return bool(text) and text.isprintable() and text == text.strip()


def block_of(value: Any, column: int) -> str:
    """A list or an object in block style."""
    indent = " " * column
    if isinstance(value, list):
        return "\n".join(f"{indent}-{written(each, column, after_dash=True)}" for each in value)
    return "\n".join(
        f"{indent}{scalar(key)}:{written(each, column)}" for key, each in value.items()
    )


def scalar(value: Any, style: str = "block") -> str:
    """A key or a value in one line: without quotes if each version of YAML reads it alike."""
    if isinstance(value, dict | list) and value:
        return " " * MOST_COLUMNS  # not in one line
    if isinstance(value, str):
        ascii_only = not value.isprintable()
        return value if _is_plain(value, style) else json.dumps(value, ensure_ascii=ascii_only)
    if isinstance(value, Decimal):
        # YAML 1.1 wants a point before the exponent.
        return re.sub(r"^(-?\d+)E", r"\1.0e", str(value)).replace("E", "e")
    return json.dumps(value)


@cache
def _is_plain(text: str, style: str) -> bool:
    if not text.isprintable() or text != text.strip():
        return False
    around = f"[{text}, {text}: {text}]" if style == "flow" else f"- {text}\n- {text}: {text}"
    try:
        read = [load(around) for load in (loaded, yaml.safe_load)]
    except (yaml.YAMLError, ValueError):
        return False
    return read == [[text, {text: text}]] * 2
