"""Locks on folders that others may remove at any moment."""

import fcntl
import os
from pathlib import Path

import pytest

from stream_app.sources.folder_lock import hold_folder


def test_many_may_hold_a_folder_and_only_one_alone(tmp_path: Path) -> None:
    first, second = hold_folder(tmp_path), hold_folder(tmp_path)
    assert first is not None
    assert second is not None
    assert hold_folder(tmp_path, alone=True) is None
    os.close(first)
    os.close(second)
    alone = hold_folder(tmp_path, alone=True)
    assert alone is not None
    assert hold_folder(tmp_path) is None
    os.close(alone)


def test_what_is_gone_cannot_be_held(tmp_path: Path) -> None:
    assert hold_folder(tmp_path / "gone") is None


@pytest.mark.parametrize("is_made_again", [False, True])
def test_a_folder_that_is_removed_before_the_lock_is_had_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_made_again: bool
) -> None:
    folder, lock = tmp_path / "a", fcntl.flock
    folder.mkdir()

    def remove_and_lock(handle: int, operation: int) -> None:
        folder.rename(tmp_path / "trash")
        if is_made_again:
            folder.mkdir()
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    assert hold_folder(folder) is None
