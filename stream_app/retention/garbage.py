"""What in the artifacts is kept no longer, and how each of it goes."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from stream_app.assembly.publish import JOINING_PREFIX, is_abandoned
from stream_app.clip.store import ClipStore
from stream_app.domain.retention import DAY_MS, Keep, LogUse
from stream_app.settings import Settings

GRACE_MS = 3_600_000
"""What somebody may be at work with is left alone for an hour, whatever the settings say."""

Kind = Literal["render_tmp", "clip", "song", "recipe", "video", "temporary", "aside"]


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is kept no longer.

    Attributes:
        kind: what it is.
        path: a file or a folder.
        bytes: what its removal frees; nothing for a name of a file that has others.
    """

    kind: Kind
    path: Path
    bytes: int


def keep_of(settings: Settings) -> Keep:
    """The policy, as it is set."""
    videos = settings.keep_videos_days
    return Keep(
        clips_ms=round(settings.keep_clips_days * DAY_MS),
        videos_ms=None if videos is None else round(videos * DAY_MS),
        aside_ms=round(settings.keep_aside_days * DAY_MS),
    )


class Garbage:
    """What is kept no longer at one moment.

    Args:
        settings: where the artifacts are, and the policy.
        use: what the log says is needed; read after `now_ms`.
        now_ms: the moment.
    """

    def __init__(self, settings: Settings, use: LogUse, now_ms: int) -> None:
        self._settings = settings
        self._use = use
        self._now_ms = now_ms
        self._keep = keep_of(settings)
        self._clips_since_ms = now_ms - self._keep.clips_ms

    def find(self) -> Iterator[Found]:
        """All of it. Nothing is changed by looking."""
        for folder in self._dead_job_dirs:
            yield Found("render_tmp", folder, _freed_bytes(folder))
        yield from self._in_store(self._settings.clips_dir, "clip")
        yield from self._in_store(self._settings.songs_dir, "song")
        yield from self._videos()
        yield from self._abandoned_joins()
        yield from self._put_aside()

    def remove(self, found: Found) -> bool:
        """Remove what was found, unless it is in use by now; whether it is gone."""
        match found.kind:
            case "clip" | "song":
                store = ClipStore(found.path.parent)
                return store.remove_unused(found.path.stem, self._clips_since_ms / 1000)
            case "recipe":
                return ClipStore(found.path.parents[1]).forget(found.path)
            case "video":
                # First what the events name: a video is there whole, or not at all.
                (found.path / "video.mp4").unlink(missing_ok=True)
                shutil.rmtree(found.path, ignore_errors=True)
            case "render_tmp" | "temporary" | "aside":
                if found.path.is_dir():
                    shutil.rmtree(found.path, ignore_errors=True)
                else:
                    found.path.unlink(missing_ok=True)
        return True

    def _in_store(self, root: Path, kind: Literal["clip", "song"]) -> Iterator[Found]:
        if not root.is_dir():
            return
        store, since_s = ClipStore(root), self._clips_since_ms / 1000
        unused = dict(store.unused_since(since_s))
        gone = {digest for digest in unused if not self._is_needed(root / f"{digest}.mp4")}
        for digest in sorted(gone):
            yield Found(kind, root / f"{digest}.mp4", unused[digest])
        for recipe in store.dead_recipes(since_s, gone):
            yield Found("recipe", recipe, _freed_bytes(recipe))
        for path in store.leftovers():
            yield Found("temporary", path, _freed_bytes(path))

    def _is_needed(self, clip: Path) -> bool:
        """Whether a mix that is not long over names a clip, or shows it in its `render_tmp`."""
        if bytes.fromhex(clip.stem) in self._needed:
            return True
        with suppress(FileNotFoundError):
            return clip.stat().st_ino in self._shown
        return False

    @cached_property
    def _needed(self) -> set[bytes]:
        return self._use.needed_clips(self._clips_since_ms)

    @cached_property
    def _shown(self) -> set[int]:
        """Files that mixes in work show: also those of mixes that another Kafka knows."""
        dead = set(self._dead_job_dirs)
        return {
            facts.st_ino for folder in self._job_dirs() if folder not in dead for facts in _files_of(folder)
        }

    @cached_property
    def _dead_job_dirs(self) -> list[Path]:
        """Folders of ended mixes: what a worker that was killed left, or one that was told to keep them."""
        if self._settings.keep_tmp:
            return []
        return [folder for folder in self._job_dirs() if self._is_dead(folder)]

    def _is_dead(self, folder: Path) -> bool:
        mix_id = folder.name.removeprefix("job_")
        if self._use.knows(mix_id):
            return self._use.ended_before(mix_id, self._now_ms - GRACE_MS)
        return _changed_before(folder, self._clips_since_ms)

    def _job_dirs(self) -> list[Path]:
        return sorted(self._settings.render_tmp_dir.glob("job_*"))

    def _videos(self) -> Iterator[Found]:
        if self._keep.videos_ms is None:
            return
        before_ms = self._now_ms - self._keep.videos_ms
        for folder in sorted(self._settings.mixes_dir.glob("*/r*")):
            number = folder.name.removeprefix("r")
            mix_id = folder.parent.name
            if number.isdecimal() and self._use.rendered_before(mix_id, int(number), before_ms):
                yield Found("video", folder, _freed_bytes(folder))

    def _abandoned_joins(self) -> Iterator[Found]:
        for folder in sorted(self._settings.mixes_dir.glob(f"*/r*/{JOINING_PREFIX}*")):
            if _changed_before(folder, self._now_ms - GRACE_MS) and is_abandoned(folder):
                yield Found("temporary", folder, _freed_bytes(folder))

    def _put_aside(self) -> Iterator[Found]:
        for file in sorted(self._settings.projection_path.parent.glob("*.aside")):
            if _changed_before(file, self._now_ms - self._keep.aside_ms):
                yield Found("aside", file, _freed_bytes(file))


def _changed_before(path: Path, moment_ms: int) -> bool:
    try:
        return path.stat().st_mtime * 1000 < moment_ms
    except FileNotFoundError:
        return False


def _files_of(path: Path) -> Iterator[os.stat_result]:
    """What is known of a file, or of all in a folder, which may vanish meanwhile."""
    if path.is_dir():
        files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    else:
        files = [path]
    for file in files:
        with suppress(FileNotFoundError):
            yield file.lstat()


def _freed_bytes(path: Path) -> int:
    return sum(facts.st_size for facts in _files_of(path) if facts.st_nlink == 1)
