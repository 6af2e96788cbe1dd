"""What of the artifacts is still needed, as the event log tells: nothing that this says is ever removed."""

import re
from dataclasses import dataclass, field

from stream_app.domain.mix import ends
from topics.events import (
    AnyMixEvent,
    ClipCompleted,
    ClipPlaceholder,
    MixAccepted,
    MixCancelled,
    MixFailed,
    MixRendered,
)

DAY_MS = 86_400_000
_DIGESTS = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long things are kept, in ms; `None`: for ever.

    Attributes:
        clips_ms: a clip after its last use, and after the end of the last mix that names it.
        videos_ms: a video after it was rendered.
        aside_ms: what was put aside because it was damaged.
    """

    clips_ms: int
    videos_ms: int | None
    aside_ms: int


@dataclass(slots=True)
class MixUse:
    """What one mix has in the artifacts.

    Attributes:
        revision: its newest one.
        ended_at_ms: when that ended; `None` while it is in work.
        clips: SHA-256 of every clip that an event of it names, those of older revisions too.
        videos: when each revision was rendered.
    """

    revision: int = 0
    ended_at_ms: int | None = None
    clips: set[bytes] = field(default_factory=set)
    videos: dict[int, int] = field(default_factory=dict)

    def apply(self, event: AnyMixEvent) -> None:
        """Take the next event of the mix into account."""
        match event:
            case MixAccepted() if event.revision > self.revision:
                self.revision, self.ended_at_ms = event.revision, None
            case ClipCompleted() | ClipPlaceholder():
                self.clips.add(bytes.fromhex(event.sha256))
            case MixRendered() | MixFailed() | MixCancelled():
                if isinstance(event, MixRendered):
                    self.videos.setdefault(event.revision, event.at_ms)
                if ends(event, self.revision) and self.ended_at_ms is None:
                    self.ended_at_ms = event.at_ms

    def needs_clips(self, since_ms: int) -> bool:
        """Whether it is in work, or has been at some moment after `since_ms`."""
        return self.ended_at_ms is None or self.ended_at_ms > since_ms


class LogUse:
    """What all mixes of the log have in the artifacts; events of one mix are applied in log order."""

    def __init__(self) -> None:
        self._mixes: dict[str, MixUse] = {}
        self._pinned: set[bytes] = set()
        self._untold: set[str] = set()

    def apply(self, event: AnyMixEvent) -> None:
        """Take the next event of the log into account."""
        self._mixes.setdefault(event.mix_id, MixUse()).apply(event)

    def apply_unreadable(self, key: bytes | None, value: bytes) -> None:
        """Take a record into account that a newer version may have written: all it may be about is needed."""
        self._pinned.update(bytes.fromhex(each.decode()) for each in _DIGESTS.findall(value))
        self._untold.add((key or b"").decode(errors="replace"))

    def needed_clips(self, since_ms: int) -> set[bytes]:
        """SHA-256 of every clip that is named by a mix which was in work at some moment after `since_ms`."""
        needing = (
            mix.clips
            for mix_id, mix in self._mixes.items()
            if mix_id in self._untold or mix.needs_clips(since_ms)
        )
        return self._pinned.union(*needing)

    def ended_before(self, mix_id: str, moment_ms: int) -> bool:
        """Whether a mix ended before a moment, and is in work no more; not so of one that is not known."""
        mix = self._ended(mix_id)
        return mix is not None and mix.ended_at_ms is not None and mix.ended_at_ms < moment_ms

    def knows(self, mix_id: str) -> bool:
        """Whether anything is told of a mix."""
        return mix_id in self._mixes or mix_id in self._untold

    def _ended(self, mix_id: str) -> MixUse | None:
        mix = None if mix_id in self._untold else self._mixes.get(mix_id)
        return None if mix is None or mix.ended_at_ms is None else mix

    def rendered_before(self, mix_id: str, revision: int, moment_ms: int) -> bool:
        """Whether the video of a revision was made before a moment, and its mix is not in work."""
        mix = self._ended(mix_id)
        return mix is not None and mix.videos.get(revision, moment_ms) < moment_ms
