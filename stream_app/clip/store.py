"""The content-addressed store of clips: `clips/<sha256>.mp4`, never half written, never changed.

Every step can be cut off by a crash: a clip is made under a temporary name on the same file system, forced
to disk and only then given its name. A recipe (what would be made) remembers which clip came out, so that
the same recipe is never cut twice; the memory is a cache and is not believed when the clip is not there.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from stream_app.domain.errors import OwnFaultError

STALE_AFTER_S = 3600
"""Temporary files of a living process are younger: no clip may take an hour (`clip_timeout_ms` ends it)."""

COPY_PREFIX = "rebased-"
"""Begins the names of copies of sources on a straight clock; `cutting.rebase` makes them."""

INDEX_PREFIX = "index-"
"""Begins the names of indexes of sources; `cutting.shelf` makes them."""

KEPT_PREFIXES = (COPY_PREFIX, INDEX_PREFIX)
"""What cutters keep for one another has these names, and not an owner's."""

KEPT_BYTES = 2 * 2**30
KEPT_IN_USE_S = 300
"""An attempt takes two minutes at most by default (`clip_timeout_ms`)."""

LOCK_WAIT_S = 10.0
"""The lock of a store is held for microseconds: whoever has it for longer is stopped, or its disk hangs."""

LOCK_POLL_S = 0.01

_CHUNK = 1 << 20
_CLIP_NAME = re.compile(r"[0-9a-f]{64}\.mp4")


@dataclass(frozen=True)
class StoredClip:
    """A clip in the store: its hash, where it lies, and its size in bytes."""

    sha256: str
    path: Path
    bytes: int


class ClipStore:
    """Clips by content, shared by any number of processes on one file system.

    Args:
        root: the folder `clips`; made when it is not there.
        owner: begins the names of our temporary files: the id of a process that they are of no use without,
            and perhaps more after a hyphen. Ours, when none is given.

    Raises:
        OwnFaultError: from every method, when our disk is full or not ours to write.
    """

    def __init__(self, root: Path, owner: str | None = None) -> None:
        self.root = root
        self._owner = owner or str(os.getpid())
        self._recipes = root / "recipes"
        self._temporary = root / ".tmp"
        with _own_disk(root):
            self._recipes.mkdir(parents=True, exist_ok=True)
            self._temporary.mkdir(exist_ok=True)

    def temporary(self, suffix: str = ".mp4") -> Path:
        """A fresh name to make a file under; it begins with our owner, so that others know whose it is."""
        return self._temporary / f"{self._owner}-{secrets.token_hex(8)}{suffix}"

    def put(self, made: Path) -> StoredClip:
        """Move a finished file into the store; the same content twice is one clip."""
        with _own_disk(made):
            digest, size = _settle(made)
            final = self.root / f"{digest}.mp4"
            with self._locked(fcntl.LOCK_SH):
                made.replace(final)
            _sync_folder(self.root)
        return StoredClip(digest, final, size)

    def remember(self, recipe: str, clip: StoredClip, facts: Mapping[str, int | str | None]) -> None:
        """Note that `recipe` made `clip`, with `facts` to repeat when it is recalled."""
        record = {"sha256": clip.sha256, "bytes": clip.bytes, "facts": dict(facts)}
        draft = self.temporary(".json")
        with _own_disk(draft):
            # Not forced to disk: what a crash leaves of it does not read as JSON, and is then forgotten.
            draft.write_text(json.dumps(record))
            draft.replace(self._recipes / f"{recipe}.json")

    def recall(self, recipe: str) -> tuple[StoredClip, dict[str, int | str | None]] | None:
        """The clip that `recipe` made before and its facts, if the very same bytes are still there.

        That is a use of the clip: it is kept as long as one that was made now.
        """
        try:
            record = json.loads((self._recipes / f"{recipe}.json").read_bytes())
            digest, size, facts = str(record["sha256"]), int(record["bytes"]), dict(record["facts"])
            path = self.root / f"{digest}.mp4"
            if not self._use(path) or path.stat().st_size != size or _hash(path) != (digest, size):
                return None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        except OSError as error:
            raise OwnFaultError.of_disk(f"keep {self._recipes}", error) from error
        return StoredClip(digest, path, size), facts

    def _use(self, clip: Path) -> bool:
        """Have `remove_unused` see that a clip is in use; not if it is another user's."""
        try:
            with self._locked(fcntl.LOCK_SH):
                os.utime(clip)
        except PermissionError:
            return False
        return True

    def unused_since(self, moment_s: float) -> Iterator[tuple[str, int]]:
        """SHA-256 and size of every clip that was last put or recalled before a moment (as `time.time`)."""
        with _own_disk(self.root):
            for name in filter(_CLIP_NAME.fullmatch, (entry.name for entry in self.root.iterdir())):
                with suppress(FileNotFoundError):
                    facts = (self.root / name).stat()
                    if facts.st_mtime < moment_s:
                        yield name.removesuffix(".mp4"), facts.st_size

    def remove_unused(self, sha256: str, moment_s: float) -> bool:
        """Remove a clip, unless it was put or recalled after all since that moment; whether it is gone."""
        path = self.root / f"{sha256}.mp4"
        with _own_disk(path), self._locked(fcntl.LOCK_EX), suppress(FileNotFoundError):
            if path.stat().st_mtime >= moment_s:
                return False
            path.unlink()
        return True

    def dead_recipes(self, moment_s: float, removed: Container[str] = ()) -> Iterator[Path]:
        """Recipes from before a moment whose clip is not there, or is among `removed`."""
        with _own_disk(self._recipes):
            for path in self._recipes.glob("*.json"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < moment_s and self._is_dead(path, removed):
                        yield path

    def forget(self, recipe: Path) -> bool:
        """Remove a recipe, unless its clip is there after all; whether it is gone."""
        with _own_disk(recipe), suppress(FileNotFoundError):
            if not self._is_dead(recipe, ()):
                return False
            recipe.unlink()
        return True

    def _is_dead(self, recipe: Path, removed: Container[str]) -> bool:
        try:
            digest = str(json.loads(recipe.read_bytes())["sha256"])
        except (ValueError, KeyError, TypeError):
            return True
        return digest in removed or not (self.root / f"{digest}.mp4").exists()

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Whoever uses a clip shares the lock of the store; who removes one has it alone."""
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            give_up_at = time.monotonic() + LOCK_WAIT_S
            while not _try_lock(handle, how):
                if time.monotonic() > give_up_at:
                    raise OwnFaultError(
                        f"another process has held {self.root} for {LOCK_WAIT_S:g} s: look for a clipfold gc "
                        "that is stopped"
                    )
                time.sleep(LOCK_POLL_S)
            yield
        finally:
            os.close(handle)

    def sweep(self) -> int:
        """Remove temporary files of processes that are gone, or that are stale; how many were removed.

        Of the copies and indexes of sources that cutters keep for one another, `KEPT_BYTES` stay, used last.
        Pids are reused and may be of another machine on a shared disk, so a file is only taken when it is
        stale, or when its pid is of no process here and it has not been written to for a minute.
        """
        unwanted = self.leftovers()
        with _own_disk(self._temporary):
            for path in unwanted:
                path.unlink(missing_ok=True)
        return len(unwanted)

    def leftovers(self) -> set[Path]:
        """What `sweep` would remove."""
        with _own_disk(self._temporary):
            there = list(self._temporary.iterdir())
            stale = {path for path in there if _is_stale(path)}
            return stale.union(_surplus(path for path in there if path.name.startswith(KEPT_PREFIXES)))

    def discard_of(self, owner: str) -> None:
        """Remove the temporary files of an owner that was seen to end."""
        with _own_disk(self._temporary):
            for path in self._temporary.glob(f"{owner}-*"):
                path.unlink(missing_ok=True)


def _try_lock(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _surplus(kept: Iterable[Path]) -> list[Path]:
    """The kept files beyond `KEPT_BYTES`, but none that was used in the last minutes and may still be."""
    facts = []
    for path in kept:
        with suppress(FileNotFoundError):
            facts.append((path.stat(), path))
    facts.sort(key=lambda fact: -fact[0].st_mtime)
    sums = accumulate(stat.st_size for stat, _ in facts)
    idle_since = time.time() - KEPT_IN_USE_S
    return [
        path
        for (stat, path), total in zip(facts, sums, strict=True)
        if total > KEPT_BYTES and stat.st_mtime < idle_since
    ]


def _is_stale(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    if age > STALE_AFTER_S:
        return True
    pid = path.name.partition("-")[0]
    return age > 60 and pid.isdigit() and not _alive(int(pid))  # noqa: PLR2004 - a minute, said in `sweep`


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _hash(path: Path) -> tuple[str, int]:
    """The SHA-256 and the size of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest(), file.tell()


def _settle(path: Path) -> tuple[str, int]:
    """Force a file to disk and take the right to write from it; its SHA-256 and size."""
    with path.open("rb") as file:
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
    return _hash(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot: there the rename itself is what they promise.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


@contextmanager
def _own_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OwnFaultError.of_disk(f"keep {path}", error) from error
