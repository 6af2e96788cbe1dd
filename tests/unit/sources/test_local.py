"""From a candidate's uri to a file that may be read."""

import os
from pathlib import Path

import pytest

from stream_app.domain.errors import SourceError
from stream_app.sources.local import resolve_local
from topics.reasons import FallbackReason

REFUSED, MISSING = FallbackReason.SOURCE_REFUSED, FallbackReason.SOURCE_MISSING


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "media root"
    (root / "sub").mkdir(parents=True)
    (root / "a b.mp4").write_bytes(b"a")
    (root / "sub" / "c%20.mp4").write_bytes(b"c")
    (tmp_path / "outside.mp4").write_bytes(b"o")
    return root


def test_relative_paths_are_looked_up_under_each_root(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "d.mp4").write_bytes(b"d")
    assert resolve_local("a b.mp4", [other, root]) == root / "a b.mp4"
    assert resolve_local("d.mp4", [root, other]) == other / "d.mp4"
    assert resolve_local("sub/c%20.mp4", [root]) == root / "sub" / "c%20.mp4"


def test_file_addresses_are_percent_encoded(root: Path) -> None:
    assert resolve_local((root / "a b.mp4").as_uri(), [root]) == root / "a b.mp4"
    assert resolve_local((root / "sub" / "c%20.mp4").as_uri(), [root]) == root / "sub" / "c%20.mp4"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("../outside.mp4", REFUSED),
        ("sub/../../outside.mp4", REFUSED),
        ("missing.mp4", MISSING),
        ("a b.mp4/x", MISSING),
        ("sub", REFUSED),
        ("/etc/passwd", REFUSED),
        ("file:///etc/passwd", REFUSED),
        ("file://host/etc/passwd", REFUSED),
        ("file:relative.mp4", REFUSED),
        ("concat:a b.mp4|a b.mp4", MISSING),
        ("ftp://host/a.mp4", REFUSED),
        ("data://text", REFUSED),
        ("a\0b.mp4", MISSING),
        ("", REFUSED),
        ("https://host/a.mp4", REFUSED),
    ],
)
def test_what_may_not_be_read_is_refused_with_its_reason(
    root: Path, uri: str, reason: FallbackReason
) -> None:
    with pytest.raises(SourceError) as caught:
        resolve_local(uri, [root])
    assert caught.value.reason is reason


def test_links_count_as_what_they_lead_to(root: Path, tmp_path: Path) -> None:
    (root / "in.mp4").symlink_to(root / "a b.mp4")
    (root / "out.mp4").symlink_to(tmp_path / "outside.mp4")
    assert resolve_local("in.mp4", [root]) == root / "a b.mp4"
    with pytest.raises(SourceError) as caught:
        resolve_local("out.mp4", [root])
    assert caught.value.reason is REFUSED


def test_a_root_may_itself_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert resolve_local("a b.mp4", [tmp_path / "link"]) == root / "a b.mp4"


def test_a_pipe_is_no_source(root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    with pytest.raises(SourceError) as caught:
        resolve_local("pipe.mp4", [root])
    assert caught.value.reason is REFUSED
