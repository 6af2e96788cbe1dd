"""The store of clips on a real file system."""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream_app.clip.store import KEPT_IN_USE_S, KEPT_PREFIXES, STALE_AFTER_S, ClipStore
from stream_app.domain.errors import OwnFaultError

FACTS: dict[str, int | str | None] = {"frames": 3, "method": "m", "first_source_ms": None}


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "clips")


def made(store: ClipStore, content: bytes = b"clip") -> Path:
    path = store.temporary()
    path.write_bytes(content)
    return path


def test_a_clip_lies_under_its_hash_and_cannot_be_changed(store: ClipStore) -> None:
    draft = made(store)
    clip = store.put(draft)
    assert clip.sha256 == hashlib.sha256(b"clip").hexdigest()
    assert clip.path == store.root / f"{clip.sha256}.mp4"
    assert clip.bytes == 4
    assert clip.path.read_bytes() == b"clip"
    assert clip.path.stat().st_mode & 0o777 == 0o444
    assert not draft.exists()


def test_the_same_content_twice_is_one_clip(store: ClipStore) -> None:
    assert store.put(made(store)) == store.put(made(store))
    assert len(list(store.root.glob("*.mp4"))) == 1


def test_a_recipe_recalls_its_clip_and_facts(store: ClipStore) -> None:
    clip = store.put(made(store))
    assert store.recall("r") is None
    store.remember("r", clip, FACTS)
    assert store.recall("r") == (clip, FACTS)


@pytest.mark.parametrize("content", [b"", b"cli", b"CLIP"])
def test_a_clip_that_is_not_what_it_was_is_not_recalled(store: ClipStore, content: bytes) -> None:
    clip = store.put(made(store))
    store.remember("r", clip, FACTS)
    clip.path.unlink()
    assert store.recall("r") is None
    clip.path.write_bytes(content)
    assert store.recall("r") is None


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b"{}", b'{"sha256": "x", "bytes": null, "facts": {}}'])
def test_a_recipe_cut_off_by_a_crash_is_forgotten(store: ClipStore, record: bytes) -> None:
    (store.root / "recipes" / "r.json").write_bytes(record)
    assert store.recall("r") is None


def test_sweeping_takes_what_dead_processes_left(store: ClipStore) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(20)
    left, fresh = made(store), made(store)
    gone = left.rename(left.with_name(f"{dead.pid}-2-x.mp4"))
    recent = fresh.rename(fresh.with_name(f"{dead.pid}-y.mp4"))
    mine, stale = made(store), made(store)
    for path, age in ((gone, 120), (mine, 120), (stale, STALE_AFTER_S + 1)):
        os.utime(path, (time.time() - age,) * 2)
    assert store.sweep() == 2
    assert (gone.exists(), recent.exists(), mine.exists(), stale.exists()) == (False, True, True, False)


def test_discarding_takes_the_files_of_one_owner(store: ClipStore) -> None:
    first, second = ClipStore(store.root, "7-a"), ClipStore(store.root, "7-b")
    its, other, mine = made(first), made(second), made(store)
    store.discard_of("7-a")
    assert (its.exists(), other.exists(), mine.exists()) == (False, True, True)


def test_a_disk_that_does_not_take_it_is_our_own_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OwnFaultError, match="artifacts disk"):
        ClipStore(tmp_path / "file" / "clips")
    store = ClipStore(tmp_path / "clips")
    with pytest.raises(OwnFaultError, match="artifacts disk"):
        store.put(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("prefix", KEPT_PREFIXES)
def test_sweeping_keeps_the_copies_and_indexes_that_were_used_last(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setattr("stream_app.clip.store.KEPT_BYTES", 25)
    now = time.time()
    copies = [store.root / ".tmp" / f"{prefix}{number}" for number in range(5)]
    for number, copy in enumerate(copies):
        copy.write_bytes(bytes(10))
        # The first two are in use; each further one was used earlier than the one before it.
        age = number if number < 2 else KEPT_IN_USE_S + number
        os.utime(copy, (now - age, now - age))
    assert store.sweep() == 3
    assert [copy.exists() for copy in copies] == [True, True, False, False, False]
    monkeypatch.setattr("stream_app.clip.store.KEPT_BYTES", 5)
    assert store.sweep() == 0


def test_a_lock_that_is_never_let_go_is_our_own_fault(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = store.put(made(store))
    store.remember("r", clip, FACTS)
    monkeypatch.setattr("stream_app.clip.store.LOCK_WAIT_S", 0.05)
    stopped = os.open(store.root, os.O_RDONLY)
    try:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        for use in (lambda: store.recall("r"), lambda: store.put(made(store, b"other"))):
            with pytest.raises(OwnFaultError, match="look for a clipfold gc that is stopped"):
                use()
        fcntl.flock(stopped, fcntl.LOCK_SH)
        assert store.recall("r") == (clip, FACTS), "those who use clips do not keep one another waiting"
        with pytest.raises(OwnFaultError):
            store.remove_unused(clip.sha256, time.time() + 60)
    finally:
        os.close(stopped)
    assert store.remove_unused(clip.sha256, time.time() + 60)
