"""`make check-page` reads each form of a page and reports each change of a property."""

import bz2
import gzip
import lzma
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.tools import page_changes, random_pages
from tests.tools.page_changes import (
    COINS,
    CONTRADICTIONS,
    EXCHANGE,
    FORMS,
    HISTORY,
    PAGES,
    VARIANTS,
    changed,
)
from tools.check_page import check, main
from tools.contract import LIST_PATH, ROOT, loaded, operations, today
from tools.statements import page_differences

# Other tests measure coverage: it would double the time of these.
pytestmark = pytest.mark.no_cover

# A change that is not a difference.
HARMLESS = [
    ("coin-list.md", '"ETH"', '"币安人生"'),
    ("coin-list.md", "0.3552", "9"),
    ("coin-list.md", "0.3552", '"0.3552"'),
    ("coin-list.md", "## Request Weight(IP)", "## Something else"),
    ("coin-list.md", "timestamp| LONG", "signature| STRING| YES| \ntimestamp| LONG"),
    ("coin-list.md", "timestamp| LONG| YES|   \n", "timestamp| LONG| YES\n"),
    ("coin-list.md", "timestamp| LONG| YES|   \n", "timestamp| LONG| YES|\n | | | in UTC\n"),
    ("coin-list.md", "| LONG| ", "| long| "),
    ("coin-list.md", "| LONG| YES", "| int64| true"),
    ("coin-list.html", "<td>YES</td><td></td>", "<td>YES</td>"),
    ("coin-list.html", "<td>recvWindow", "<td>\u200brecvWindow\ufeff"),
    ("coin-list.html", "</p>", "</p>\f&#27;"),
    ("coin-list.html", "<strong>100", "<strong>10\u200b0"),
    ("coin-list.html", "<strong>100", "<strong>1<!-- 7 -->0<?x 7 ?>0"),
    ("coin-list.html", f"<p>GET <code>{LIST_PATH}</code></p>", f"GET {LIST_PATH}<pre>1</pre>or"),
    ("exchange.md", "At most 10 coins in one call", "At most 10 coins, each worth at most 10 USDT"),
    ("exchange.md", "assetNames| ARRAY", "assetNames| STRING"),
    ("exchange.md", "assetNames| ARRAY", "assetNames| List&lt;String&gt;"),
    ("exchange.md", "assetNames| ARRAY", "assetNames| string[]"),
    ("history.md", "Default:10, Max:100", "The maximum is 100 and the default value is 10"),
    ("history.md", "Default: now", "Max range: 30 days"),
    ("history-one-line.md", "“total”: 1,", "“total”: 1, /* pages */ "),
    ("coin-list.md", '"ETH",', '"E\\"TH", // a "name",'),
    ("coin-list.html", "<td>YES</td><td></td>", "<td>YES</td><td><table><tr><td>x</table></td>"),
]


@pytest.fixture(scope="module")
def contract() -> Any:
    return loaded(page_changes.contract())


@pytest.mark.parametrize("form", FORMS)
def test_an_unchanged_page_agrees(
    form: str, contract: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(contract, str(PAGES / form)) == 0
    printed = capsys.readouterr().out
    assert "DIFFERS" not in printed
    assert "signature" not in printed
    assert printed.splitlines()[-1].startswith(f"{PAGES / form}: agrees with openapi.yaml")


def test_a_page_that_says_what_the_contract_says_agrees(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page"
    for each in operations(today()):
        page.write_text(random_pages.markdown(random_pages.said_by(today(), *each)), "utf-8")
        assert check(today(), str(page)) == 0, capsys.readouterr().out
        assert "not on the page" not in capsys.readouterr().out


@pytest.mark.parametrize(("page", "old", "new", "line"), VARIANTS)
def test_a_change_of_one_property_is_one_line(
    page: str,
    old: str,
    new: str,
    line: str,
    contract: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    name = changed(page, old, new, -1, tmp_path)
    assert check(contract, name) == 1
    *lines, verdict = capsys.readouterr().out.splitlines()
    found = [each for each in lines if "DIFFERS" in each]
    assert len(found) == 1
    assert found[0].startswith(f"{name}: DIFFERS: {line}")
    assert verdict.startswith(f"{name}: differs from openapi.yaml")


@pytest.mark.parametrize(("page", "old", "new", "line"), CONTRADICTIONS)
def test_languages_that_contradict_each_other_are_a_difference(
    page: str,
    old: str,
    new: str,
    line: str,
    contract: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert check(contract, changed(page, old, new, 1, tmp_path)) == 1
    found = [each for each in capsys.readouterr().out.splitlines() if "DIFFERS" in each]
    assert len(found) == 1
    assert f"DIFFERS: {line}" in found[0]
    assert "in part 2" in found[0]


@pytest.mark.parametrize(("page", "old", "new"), HARMLESS)
def test_another_wording_is_not_a_difference(
    page: str, old: str, new: str, contract: Any, tmp_path: Path
) -> None:
    assert check(contract, changed(page, old, new, -1, tmp_path)) == 0


def test_a_property_that_the_page_omits_is_reported(
    contract: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    check(contract, str(PAGES / "coin-list-catalogue.md"))
    check(contract, str(PAGES / "coin-list-no-example.md"))
    printed = capsys.readouterr().out
    for what in ("request weight", "limiter", "response", "parameter recvWindow maximum"):
        assert f": not on the page: {what}\n" in printed


def test_the_most_important_difference_comes_first(
    contract: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = (PAGES / "history-escaped.md").read_text("utf-8")
    for old, new in (
        ("100(UID)", "9(IP)"),
        ('"total": 1', '"total": "1"'),
        ("Max:100", "Max:50"),
        ("startTime", "beginning"),
        ("USER\\_DATA", "NONE"),
        ("GET", "PUT"),
    ):
        text = text.replace(old, new)
    (tmp_path / "page").write_text(text, "utf-8")
    check(contract, str(tmp_path / "page"))
    lines = capsys.readouterr().out.splitlines()
    named = [line.split(": ")[2] for line in lines if "DIFFERS" in line]
    assert named == [
        "method",
        "security type",
        "parameter startTime",
        "parameter size maximum",
        "response total",
        "request weight",
        "limiter",
    ]


def test_a_new_field_of_another_type_is_not_a_renamed_one(
    contract: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = changed(HISTORY, '"bizType": "EXCHANGE_SMALL_LIABILITY"', '"bizTypes": []', 1, tmp_path)
    assert check(contract, name) == 1
    lines = [each for each in capsys.readouterr().out.splitlines() if "DIFFERS" in each]
    assert lines == [
        f"{name}: DIFFERS: response rows[].bizType: missing from the page",
        f"{name}: DIFFERS: response rows[].bizTypes: new on the page",
    ]


_OTHER_FORMS = [
    (
        "an MHTML archive or a mail",
        b"From: <Saved by Blink>\r\nSubject: A\r\n B\r\nMIME-Version: 1.0\r\n",
    ),
    ("an MHTML archive or a mail", b'Content-Type: multipart/related; boundary="x"\n\n--x\n'),
    ("a PDF", b"%PDF-1.7\n%\xe2\xe3"),
    ("an RTF document", b"{\\rtf1\\ansi"),
    ("a web archive", b"bplist00\xd1\x01"),
    (
        "a web archive",
        b'<?xml version="1.0"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN">',
    ),
    ("a web archive", b"WARC/1.1\r\n"),
    ("a JSON document", b'{\n "log": {"entries": []}}'),
    ("a JSON document", b'["GET /x"]'),
    ("a ZIP archive or an Office document", b"PK\x03\x04\x14"),
    ("a ZIP archive or an Office document", b"\xd0\xcf\x11\xe0\xa1"),
    ("compressed", gzip.compress(b"# A (NONE)", mtime=0)),
    ("compressed", bz2.compress(b"# A (NONE)")),
    ("compressed", lzma.compress(b"# A (NONE)")),
    ("a picture", b"\x89PNG\r\n\x1a\n"),
    ("in UTF-16", "# A (NONE)".encode("utf-16")),
    ("in UTF-16", "# A (NONE)".encode("utf-16-be")),
]
_BROKEN = '# A (NONE)\n\n## HTTP Request\n\nGET /x\n\n## Response Example\n\n    [{\n    "a": }]\n'


def test_an_endpoint_that_the_contract_lacks_is_reported(
    contract: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page"
    page.write_text(_BROKEN.replace("/x", "/sapi/v1/margin/allPairs").replace("}", "1}"))
    assert check(contract, str(page)) == 1
    assert "DIFFERS: path: GET /sapi/v1/margin/allPairs is not in" in capsys.readouterr().out


def test_a_page_cannot_control_the_terminal(
    contract: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = changed(COINS, "recvWindow", f"recv\x1b[31m\u202e{'x' * 10_000}", -1, tmp_path)
    assert check(contract, name) == 1
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
        (b"- a\n" * 2**20, 1, "it has more than 50000 tags"),
        (b"<h1>A</h1>" + b"<div>" * 5000, 1, "Excessive depth"),
        (b"# A (NONE)\n\nGET /x\n\n" * 20, 1, "too many titles: save the page of one endpoint"),
        (_BROKEN.encode(), 7, "the example: Expecting value: line 2 column 6"),
        (_BROKEN.replace("{", "[" * 400_000).encode(), 7, "the example is nested too deeply"),
        (b"# A (NONE)\n\nGET /x\n\n## Request Parameters\n\nSee there.\n", 5, "no table of names"),
        *((head, 1, f"it is {kind}: save the page as") for kind, head in _OTHER_FORMS),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_unreadable_page_is_refused_with_reason_and_place(
    content: bytes,
    place: int,
    reason: str,
    contract: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    page = tmp_path / "page"
    page.write_bytes(content)
    assert check(contract, str(page)) == 2
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
    ids=lambda value: str(value)[:20],
)
def test_a_hostile_page_is_read_before_the_test_times_out(
    old: str, new: str, contract: Any, tmp_path: Path
) -> None:
    assert check(contract, changed("coin-list.md", old, new, 1, tmp_path)) in (0, 1, 2)


def test_a_page_of_10_mib_is_read(contract: Any, tmp_path: Path) -> None:
    page, text = tmp_path / "page", (PAGES / COINS).read_text("utf-8")
    script = "GET /x" * ((10 * 2**20 - len(text.encode())) // 6 - 3)
    page.write_text(f"{text}<script>{script}", "utf-8")
    assert page.stat().st_size > 10 * 2**20 - 20
    assert check(contract, str(page)) == 0


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
    contract, found = loaded(page_changes.contract()), 0
    for item in contract["paths"].values():
        for operation in item.values():
            for decision in operation.pop("x-page-differences", []):
                assert decision.keys() == {"where", "page", "reason"}
                found += 1
                for page in (COINS, EXCHANGE, HISTORY):
                    check(contract, str(PAGES / page))
                assert f"DIFFERS: {decision['where']}: " in capsys.readouterr().out
    assert found
    assert not any(page_differences(contract, *each) for each in operations(contract))
