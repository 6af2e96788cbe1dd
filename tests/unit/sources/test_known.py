"""What is remembered of an address, and how content is named."""

from pathlib import Path

import pytest

from stream_app.sources.known import Known, identity_by_validator
from stream_app.sources.validator import Validator

FILE = Validator('"6a-1f"', "Tue, 14 Nov 2023 22:13:20 GMT", 31)
KNOWN = Known(FILE, "https://cdn.test/a.mp4", "http-1", 1_000_000)


def name(address: str, validator: Validator = FILE, window: tuple[int, int] | None = None) -> str:
    return identity_by_validator(address, validator, window)


def test_content_keeps_its_name() -> None:
    assert name("https://a.test/v.mp4?id=5") == name("https://a.test/v.mp4?id=5")


@pytest.mark.parametrize(
    "signed",
    [
        "https://a.test/v.mp4?id=5&X-Amz-Date=20261125T000000Z&X-Amz-Signature=ab12",
        "https://a.test/v.mp4?X-Goog-Expires=60&X-Goog-Signature=ab12&id=5",
        "https://a.test/v.mp4?id=5&Expires=1700&Signature=ab~&Key-Pair-Id=K1&Policy=ey",
    ],
)
def test_a_new_signature_does_not_change_it(signed: str) -> None:
    assert name(signed) == name("https://a.test/v.mp4?id=5")


@pytest.mark.parametrize(
    "other",
    [
        name("https://b.test/v.mp4?id=5"),
        name("https://a.test/w.mp4?id=5"),
        name("https://a.test/v.mp4?id=6"),
        name("https://a.test/v.mp4"),
        name("https://a.test/v.mp4?id=5", Validator('"6a-20"', FILE.last_modified, 31)),
        name("https://a.test/v.mp4?id=5", Validator(None, FILE.last_modified, 31)),
        name("https://a.test/v.mp4?id=5", Validator(FILE.etag, FILE.last_modified, 32)),
        name("https://a.test/v.mp4?id=5", FILE, (0, 31)),
    ],
    ids=["host", "path", "query", "no query", "etag", "no etag", "size", "range"],
)
def test_what_the_server_does_not_call_the_same_has_another_name(other: str) -> None:
    assert other != name("https://a.test/v.mp4?id=5")


def test_it_is_fresh_for_as_long_as_set_and_not_while_the_clock_is_behind() -> None:
    assert KNOWN.is_fresh(1_000_000, 60_000)
    assert KNOWN.is_fresh(1_059_999, 60_000)
    assert not KNOWN.is_fresh(1_060_000, 60_000)
    assert not KNOWN.is_fresh(999_999, 60_000)
    assert not KNOWN.is_fresh(1_000_000, 0)


def test_it_is_read_as_it_was_saved(tmp_path: Path) -> None:
    KNOWN.save(tmp_path, tmp_path / "draft")
    assert Known.load(tmp_path) == KNOWN


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"url": "x"}', '{"validator": {"etag": 1, "x": 2}}'])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "known.json").write_text(text)
    assert Known.load(tmp_path) is None
