"""The documentation in a browser."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tools.contract import ROOT, load

SITE = ROOT / "docs/site"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _BROWSERS)), None)


@pytest.fixture(scope="module")
def pages() -> dict[str, "Page"]:
    """Every page of the freshly built site."""
    # The installed tools run this test, so they must not be installed again now.
    installed = (".venv/.pinned", ".venv/.installed", "node_modules/.installed")
    done = subprocess.run(
        ["make", "docs", *(f"--assume-old={stamp}" for stamp in installed)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.name: Page(path) for path in SITE.glob("*.html")}


class Page(HTMLParser):
    """The links and the anchors of a page, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag in ("img", "script", "iframe") and found.get("src"):
            self.loads.append(found["src"] or "")
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preconnect"):
            self.loads.append(found["href"] or "")
        if found.get("id"):
            self.anchors.append(found["id"] or "")


def test_every_page_is_built_and_in_the_navigation(pages: dict[str, Page]) -> None:
    written = {f"{path.stem}.html" for path in (ROOT / "docs/pages").glob("*.md")}
    assert pages.keys() - {"404.html"} == written
    linked = {link.partition("#")[0].removeprefix("./") for link in pages["keys.html"].links}
    assert written - linked == set()


def test_internal_links_have_a_target(pages: dict[str, Page]) -> None:
    broken = []
    for name, page in pages.items():
        for link in {*page.links, *page.loads}:
            url = urlsplit(link)
            if url.scheme or url.netloc or name == "404.html":
                continue
            target = unquote(url.path).removeprefix("./") or name
            found = (SITE / target).exists()
            if url.fragment:
                found = found and unquote(url.fragment) in pages[target].anchors
            if not found:
                broken.append(f"{name}: {link}")
    assert broken == []


def test_nothing_is_loaded_from_other_hosts(pages: dict[str, Page]) -> None:
    loads = [load for page in pages.values() for load in page.loads]
    assert [load for load in loads if urlsplit(load).netloc] == []


def test_anchors_are_unique(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert len(page.anchors) == len(set(page.anchors)), name


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site_url(pages: dict[str, Page]) -> Iterator[str]:
    assert pages
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=SITE)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def seen(site_url: str, pages: dict[str, Page]) -> dict[str, Any]:
    """What Chromium loaded and showed of every page. SCREENSHOTS names a folder for pictures."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    node = Path(sys.executable).with_name("node")
    urls = [f"{site_url}/{name}" for name in sorted(pages)]
    # The same page, opened from a disk.
    urls.append((SITE / "http-api.html").as_uri())
    pictures = os.environ.get("SCREENSHOTS", "")
    done = subprocess.run(
        [node, ROOT / "tests/project/browse.mjs", CHROMIUM, pictures, *urls],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {page["url"].removeprefix(f"{site_url}/"): page for page in json.loads(done.stdout)}


_FROM_DISK = (SITE / "http-api.html").as_uri()


@pytest.mark.parametrize("url", ["http-api.html", _FROM_DISK])
def test_the_reference_renders_every_operation(seen: dict[str, Any], url: str) -> None:
    text = seen[url]["text"].replace("\u200b", "")
    assert "Resolver error" not in text
    for path, methods in load()["paths"].items():
        for operation in methods.values():
            parameters = [
                each["name"] for each in operation.get("parameters", ()) if "name" in each
            ]
            for words in (path, operation["summary"], *operation["responses"], *parameters):
                assert str(words) in text
    assert "0.00083334" in text


def test_the_python_reference_renders_the_clients(seen: dict[str, Any]) -> None:
    for words in ("SmallLiabilityClient", "list_coins", "FakeBinance", "recv_window"):
        assert words in seen["python.html"]["text"]


def test_no_request_leaves_the_machine(seen: dict[str, Any], site_url: str) -> None:
    requests = [url for page in seen.values() for url in page["requests"]]
    assert len(requests) > len(seen)
    here = (f"{site_url}/", "data:", "file:")
    assert [url for url in requests if not url.startswith(here)] == []


def test_the_console_stays_empty(seen: dict[str, Any]) -> None:
    # A page that is opened from a disk cannot load the search.
    errors = {name: page["errors"] for name, page in seen.items() if name != _FROM_DISK}
    assert {name: each for name, each in errors.items() if each} == {}


def test_nothing_is_wider_than_a_phone(seen: dict[str, Any]) -> None:
    widest = {name: max(page["overflow"].values()) for name, page in seen.items()}
    assert {name: pixels for name, pixels in widest.items() if pixels > 0} == {}
