"""The documentation in a browser."""

import json
import os
import shutil
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.processes import output
from tools.contract import ROOT
from tools.operations import OPERATIONS, SERVER_TIME

SITE = ROOT / "docs/site"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _BROWSERS)), None)


@pytest.fixture(scope="module")
def pages() -> dict[str, "Page"]:
    """Every page of the freshly built site."""
    # The installed tools run this test, so they must not be installed again now.
    installed = (".venv/.pinned", ".venv/.installed", "node_modules/.installed")
    output("make", "docs", *(f"--assume-old={stamp}" for stamp in installed), cwd=ROOT)
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


def test_menu_titles_are_page_titles_and_each_page_is_described(pages: dict[str, Page]) -> None:
    assert pages
    config = tomllib.loads((ROOT / "docs/zensical.toml").read_text("utf-8"))
    groups = [each for top in config["project"]["nav"] for each in top.items()]
    entries = [each for _, inside in groups if isinstance(inside, list) for each in inside]
    for entry in entries:
        [(title, name)] = entry.items()
        page = (SITE / name).with_suffix(".html").read_text("utf-8")
        assert f'>{title}<a class="headerlink"' in page
        assert config["project"]["site_description"] not in page


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


def test_pages_load_nothing_from_other_hosts_and_have_unique_anchors(
    pages: dict[str, Page],
) -> None:
    for name, page in pages.items():
        assert [load for load in page.loads if urlsplit(load).netloc] == [], name
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
    first, last = "index.html", "404.html"
    others = sorted(pages.keys() - {first, last, "http-api.html"})
    # The reference is for readers without a server, too.
    urls = [f"{site_url}/{name}" for name in (first, *others, last)]
    urls.append((SITE / "http-api.html").as_uri())
    pictures, opened = os.environ.get("SCREENSHOTS", ""), "(index|404|python|http-api).html"
    browse = (node, ROOT / "tests/project/browse.mjs", CHROMIUM, pictures, opened)
    printed = output(*browse, *urls)
    return {page["url"].rpartition("/")[2]: page for page in json.loads(printed)}


def test_the_reference_renders_every_operation(seen: dict[str, Any]) -> None:
    text = seen["http-api.html"]["text"].replace("\u200b", "")
    assert "Resolver error" not in text
    for operation in (*OPERATIONS, SERVER_TIME):
        parameters = [each.name for each in operation.generated.parameters.values()]
        words = (operation.path, str(operation.generated.__doc__).partition(".")[0], *parameters)
        assert [each for each in words if each not in text] == []


def test_the_python_reference_renders_clients_records_and_operations(seen: dict[str, Any]) -> None:
    names = ("SmallLiabilityClient", "list_coins", "FakeBinance", "recv_window", "Exchange")
    assert [name for name in names if name not in seen["python.html"]["text"]] == []


def test_pages_in_a_browser(seen: dict[str, Any], site_url: str) -> None:
    """No request leaves the machine, the console stays empty, and nothing is too wide."""
    here, search = (f"{site_url}/", "data:", "file:"), f"{SITE.as_uri()}/search.js"
    for name, page in seen.items():
        assert page["requests"], name
        assert [url for url in page["requests"] if not url.startswith(here)] == [], name
        # A page that is opened from a disk cannot load the search.
        assert [each for each in page["errors"] if not each.startswith(search)] == [], name
        assert max(page["overflow"].values()) <= 0, name
