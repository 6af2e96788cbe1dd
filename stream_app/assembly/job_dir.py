"""The clips of a mix in work, as people may look at them: `render_tmp/job_<mix_id>/clip_<n>.mp4`."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


class JobDirs:
    """Hard links into the clip store, made as clips come and removed when the mix ends.

    One owner makes and removes them: were it the cutter that links, a late one could bring a folder back.
    """

    def __init__(self, root: Path, *, keep: bool) -> None:
        self._root = root
        self._keep = keep

    def link(self, mix_id: str, clip_index: int, clip: Path) -> None:
        """Show a clip. It is for looking only, so a clip or a disk that is not there stops nothing."""
        with suppress(OSError):
            folder = self._folder(mix_id)
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.link(clip, folder / f"clip_{clip_index}.mp4")

    def relink(self, mix_id: str, clips: Iterable[tuple[int, Path]]) -> None:
        """Show these clips and no others: a new plan may have put each line elsewhere."""
        shutil.rmtree(self._folder(mix_id), ignore_errors=True)
        for clip_index, clip in clips:
            self.link(mix_id, clip_index, clip)

    def remove(self, mix_id: str) -> None:
        """Clean up after a mix that has ended."""
        if not self._keep:
            shutil.rmtree(self._folder(mix_id), ignore_errors=True)

    def _folder(self, mix_id: str) -> Path:
        return self._root / f"job_{mix_id}"
