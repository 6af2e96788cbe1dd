"""A browser shows /docs: all that the page asks for is served here, and allowed by the page's own policy."""

import base64
import re
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from tests.contract.api.client import Guarded

PAGE = "/docs"


@dataclass
class Page(HTMLParser):
    """What a browser would fetch, and the scripts and styles that stand on the page."""

    html: str
    fetched: dict[str, str] = field(default_factory=dict)
    inline: dict[str, list[str]] = field(default_factory=lambda: {"script": [], "style": []})

    def __post_init__(self) -> None:
        super().__init__()
        self._within = ""
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        link = named.get("src") or (named.get("href") if tag == "link" else None)
        if link:
            kind = tag if tag != "link" else "style" if named.get("rel") == "stylesheet" else "img"
            self.fetched[link] = kind
        self._within = tag if tag in self.inline and not link else ""

    def handle_data(self, data: str) -> None:
        if self._within and data.strip():
            self.inline[self._within].append(data)

    def handle_endtag(self, _: str) -> None:
        self._within = ""


@dataclass(frozen=True)
class Shown:
    """The page, and for each directive of its policy what is allowed."""

    page: Page
    allowed: dict[str, list[str]]


@pytest.fixture(scope="module")
def shown(guarded: Guarded) -> Shown:
    with guarded.client() as client:
        answer = client.get(PAGE).raise_for_status()
    directives = (each.split() for each in answer.headers["content-security-policy"].split(";"))
    return Shown(Page(answer.text), {name: sources for name, *sources in directives})


def test_all_that_the_page_asks_for_is_served_and_allowed(guarded: Guarded, shown: Shown) -> None:
    types = {"script": "javascript", "style": "text/css", "img": "image/"}
    assert set(shown.page.fetched.values()) == types.keys()
    with guarded.client() as client:
        for link, kind in shown.page.fetched.items():
            assert link.startswith(f"{PAGE}/"), f"{link} comes from elsewhere"
            assert "'self'" in shown.allowed[f"{kind}-src"], link
            answer = client.get(link)
            assert answer.status_code == 200, link
            # With nosniff a browser runs no script of another type.
            assert types[kind] in answer.headers["content-type"], link
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_script_of_the_page_is_allowed_and_reads_the_description(guarded: Guarded, shown: Shown) -> None:
    (script,) = shown.page.inline["script"]
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in shown.allowed["script-src"]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & set(shown.allowed["script-src"])
    (description,) = re.findall(r"""url: ['"]([^'"]+)['"]""", script)
    assert "'self'" in shown.allowed["connect-src"]
    with guarded.client() as client:
        assert client.get(description).json()["info"]["title"] == "clipfold"


def test_the_styles_fetch_nothing_that_is_not_allowed(guarded: Guarded, shown: Shown) -> None:
    (style,) = (link for link, kind in shown.page.fetched.items() if kind == "style")
    with guarded.client() as client:
        css = client.get(style).text
    assert "@import" not in css
    links = re.findall(r"""url\(['"]?([^'")]+)""", css)
    assert links
    assert {link.partition(":")[0] for link in links} == {"data"}
    assert "data:" in shown.allowed["img-src"]
    assert "@font-face" not in css
