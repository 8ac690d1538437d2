"""`make check-page` reads each form of a page and reports each change of a property."""

import bz2
import gzip
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tools import page_changes, random_pages
from tests.tools.page_changes import COINS, EXCHANGE, HARMLESS, HISTORY, PAGES, changed
from tools.check_page import check, main
from tools.contract import ROOT, loaded, operations, today
from tools.statements import page_differences

CONTRACT = loaded(page_changes.contract())  # no test changes it


Checker = Callable[[str | Path], list[str]]


@pytest.fixture
def differences(capsys: pytest.CaptureFixture[str]) -> Checker:
    """Checks a page that differs, and gives what it reports as differences."""

    def of(page: str | Path) -> list[str]:
        assert check(CONTRACT, str(page)) == 1
        *lines, verdict = capsys.readouterr().out.splitlines()
        assert verdict.startswith(f"{page}: differs from openapi.yaml")
        start = f"{page}: DIFFERS: "
        return [line.removeprefix(start) for line in lines if line.startswith(start)]

    return of


def test_unchanged_pages_agree(capsys: pytest.CaptureFixture[str]) -> None:
    for page in PAGES.iterdir():
        assert check(CONTRACT, str(page)) == 0
        printed = capsys.readouterr().out
        assert "signature" not in printed
        assert printed.splitlines()[-1].startswith(f"{page}: agrees with openapi.yaml")


def test_a_page_that_says_what_the_contract_says_agrees(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page"
    for each in operations(today()):
        page.write_text(random_pages.markdown(random_pages.said_by(today(), *each)), "utf-8")
        assert check(today(), str(page)) == 0, capsys.readouterr().out
        assert "not on the page" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "old", "new", "line"), [*page_changes.VARIANTS, *page_changes.CONTRADICTIONS]
)
def test_a_change_of_one_property_is_one_line(
    page: str, old: str, new: str, line: str, differences: Checker, tmp_path: Path
) -> None:
    in_one_language = line.endswith("in part 1")
    [found] = differences(changed(page, old, new, 1 if in_one_language else -1, tmp_path))
    assert found.startswith(line)
    assert ("in part 2" in found) == in_one_language


def test_another_wording_is_not_a_difference(tmp_path: Path) -> None:
    for page, old, new, _ in HARMLESS:
        assert check(CONTRACT, changed(page, old, new, -1, tmp_path)) == 0, new


def test_a_property_that_the_page_omits_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    check(CONTRACT, str(PAGES / "coin-list-catalogue.md"))
    check(CONTRACT, str(PAGES / "coin-list-no-example.md"))
    printed = capsys.readouterr().out
    for what in ("request weight", "limiter", "response", "parameter recvWindow maximum"):
        assert f": not on the page: {what}\n" in printed


def test_the_most_important_difference_comes_first(differences: Checker, tmp_path: Path) -> None:
    page, text = tmp_path / "page", (PAGES / "history-escaped.md").read_text("utf-8")
    for old, new in (
        ("100(UID)", "9(IP)"),
        ('"total": 1', '"total": "1"'),
        ("Max:100", "Max:50"),
        ("startTime", "beginning"),
        ("USER\\_DATA", "NONE"),
        ("GET", "PUT"),
    ):
        text = text.replace(old, new)
    page.write_text(text, "utf-8")
    assert [each.partition(":")[0] for each in differences(page)] == [
        "method",
        "security type",
        "parameter startTime",
        "parameter size maximum",
        "response total",
        "request weight",
        "limiter",
    ]


def test_a_new_field_of_another_type_is_not_a_renamed_one(
    differences: Checker, tmp_path: Path
) -> None:
    name = changed(HISTORY, '"bizType": "EXCHANGE_SMALL_LIABILITY"', '"bizTypes": []', 1, tmp_path)
    assert differences(name) == [
        "response rows[].bizType: missing from the page",
        "response rows[].bizTypes: new on the page",
    ]


_OTHER_FORMS = {
    "an MHTML archive or a mail": [
        b"From: <Saved by Blink>\r\nSubject: A\r\n B\r\nMIME-Version: 1.0\r\n",
        b'Content-Type: multipart/related; boundary="x"\n\n--x\n',
    ],
    "a PDF": [b"%PDF-1.7\n%\xe2\xe3"],
    "an RTF document": [b"{\\rtf1\\ansi"],
    "a web archive": [
        b"bplist00\xd1\x01",
        b'<?xml version="1.0"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN">',
        b"WARC/1.1\r\n",
    ],
    "a JSON document": [b'{\n "log": {"entries": []}}', b'["GET /x"]'],
    "a ZIP archive or an Office document": [b"PK\x03\x04\x14", b"\xd0\xcf\x11\xe0\xa1"],
    # Without the time, which would be a part of the name of the case.
    "compressed": [gzip.compress(b"# A", mtime=0), bz2.compress(b"# A"), lzma.compress(b"# A")],
    "a picture": [b"\x89PNG\r\n\x1a\n"],
    "in UTF-16": ["# A (NONE)".encode(code) for code in ("utf-16", "utf-16-be")],
}


def _short(value: Any) -> str:
    """The name of a value that may be very long."""
    return str(value if isinstance(value, int) else value[:20])[:20]


_BROKEN = '# A (NONE)\n\n## HTTP Request\n\nGET /x\n\n## Response Example\n\n    [{\n    "a": }]\n'


def test_an_endpoint_that_the_contract_lacks_is_reported(
    differences: Checker, tmp_path: Path
) -> None:
    page = tmp_path / "page"
    page.write_text(_BROKEN.replace("/x", "/sapi/v1/margin/allPairs").replace("}", "1}"))
    [found] = differences(page)
    assert found.startswith("path: GET /sapi/v1/margin/allPairs is not in")


def test_a_page_cannot_control_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = changed(COINS, "recvWindow", f"recv\x1b[31m\u202e{'x' * 10_000}", -1, tmp_path)
    assert check(CONTRACT, name) == 1
    printed = capsys.readouterr().out
    assert not {"\x1b", "\u202e"} & set(printed)
    assert max(map(len, printed.splitlines())) < 500


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (b"", 1, "no method and path"),
        (b"\n\n# Nothing\n", 1, "no method and path"),
        (b"# A (NONE)\n\nGET /x\n", 1, "neither parameters nor response nor weight"),
        (b"\n\xff", 1, "'utf-8' codec can't decode byte 0xff in position 1"),
        (b"x" * (10 * 2**20 + 1), 1, "it is larger than 10 MiB"),
        (b"x" * 500_001, 1, "it has more than 500000 letters"),
        (b"- a\n" * 2**16, 1, "it has more than 50000 tags"),
        (b"<h1>A</h1>" + b"<div>" * 5000, 1, "Excessive depth"),
        (b"# A (NONE)\n\nGET /x\n\n" * 20, 1, "too many titles: save the page of one endpoint"),
        (_BROKEN.encode(), 7, "the example: Expecting value: line 2 column 6"),
        (_BROKEN.replace("{", "[" * 400_000).encode(), 7, "the example is nested too deeply"),
        (b"# A (NONE)\n\nGET /x\n\n## Request Parameters\n\nSee there.\n", 5, "no table of names"),
        *(
            (head, 1, f"it is {kind}: save the page as")
            for kind, heads in _OTHER_FORMS.items()
            for head in heads
        ),
    ],
    ids=_short,
)
def test_an_unreadable_page_is_refused_with_reason_and_place(
    content: bytes, place: int, reason: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page"
    page.write_bytes(content)
    assert check(CONTRACT, str(page)) == 2
    said = capsys.readouterr().err
    assert f"{page}:{place}: cannot be read: {reason}" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("timestamp| LONG| YES|   ", "timestamp| LONG| YES| " + "default " * 500_000),
        ("timestamp| LONG| YES|   ", "timestamp| LONG| YES| default " + "1" * 1_000_000),
        ("0.3552", "[" * 1_000_000),
        ("0.3552", "/*" * 500_000),
        ("0.3552", '"' * 600_000),
        ("0.3552", ", " * 500_000),
        ("0.3552", '"' + '\\"' * 300_000),
        ("**100**", "1 hour " * 60_000),
        ("**100**", "a\n---\n" * 16_000),
        ("**100**", "# A\n" * 20_000),
        ("# Get", "# " + "<b><i>" * 10_000 + "Get"),
        ("# Get", "<p " + " ".join(f"a{n}" for n in range(80_000)) + ">\n\n# Get"),
        ("# Get", "*_" * 400_000 + "\n\n# Get"),
        ("# Get", "[" * 1_000_000 + "\n\n# Get"),
        ("# Get", "<!-- " * 200_000 + "\n\n# Get"),
    ],
    ids=_short,
)
def test_a_hostile_page_is_read_before_the_test_times_out(
    old: str, new: str, tmp_path: Path
) -> None:
    assert check(CONTRACT, changed("coin-list.md", old, new, 1, tmp_path)) in (0, 1, 2)


def test_a_page_of_10_mib_is_read(tmp_path: Path) -> None:
    page, text = tmp_path / "page", (PAGES / COINS).read_text("utf-8")
    script = "GET /x" * ((10 * 2**20 - len(text.encode())) // 6 - 3)
    page.write_text(f"{text}<script>{script}", "utf-8")
    assert page.stat().st_size > 10 * 2**20 - 20
    assert check(CONTRACT, str(page)) == 0


def test_without_a_page_the_usage_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "tools.check_page page.md" in capsys.readouterr().err


def test_the_exit_code_is_that_of_the_worst_page(tmp_path: Path) -> None:
    contract = tmp_path / "openapi.yaml"
    contract.write_text(page_changes.contract(), "utf-8")
    good, missing = str(PAGES / COINS), str(tmp_path / "missing")
    bad = changed(EXCHANGE, "POST", "PUT", -1, tmp_path)
    codes = [main(pages, contract) for pages in ([good, good], [bad, good], [bad, missing, good])]
    assert codes == [0, 1, 2]


def test_make_reads_files_and_standard_input(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_text(_BROKEN.replace("}", "1}"))
    make = ["make", "--silent", "check-page", f"PAGE={page} -"]
    done = subprocess.run(make, check=False, capture_output=True, input=b"", text=False, cwd=ROOT)
    assert done.returncode == 2
    assert b"page: DIFFERS: path: GET /x is not in openapi.yaml" in done.stdout
    assert b"standard input:1: cannot be read: no method and path" in done.stderr


def test_each_decision_in_the_contract_is_needed_and_has_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    contract, wheres = loaded(page_changes.contract()), []
    for item in contract["paths"].values():
        for operation in item.values():
            for decision in operation.pop("x-page-differences", []):
                assert decision.keys() == {"where", "page", "reason"}
                wheres.append(decision["where"])
    for page in (COINS, EXCHANGE, HISTORY):
        check(contract, str(PAGES / page))
    lines = [line for line in capsys.readouterr().out.splitlines() if "DIFFERS" in line]
    assert sorted(line.split(": ")[2] for line in lines) == sorted(wheres)
    assert wheres
    assert not any(page_differences(contract, *each) for each in operations(contract))
