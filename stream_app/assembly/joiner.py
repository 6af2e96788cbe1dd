"""From a mix whose lines all have their outcome to the event that ends it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stream_app.assembly.order import Assembled, AssembleOrder, Lyric, Part, SongOrder
from stream_app.assembly.runner import JoinProcesses
from stream_app.assembly.song_source import song_here
from stream_app.clock import Clock
from stream_app.domain.errors import MixError, OwnFaultError
from stream_app.domain.mix import Mix
from stream_app.domain.plan import timeline
from stream_app.file_uri import path_of
from stream_app.settings import Settings
from stream_app.sources.sources import Sources
from stream_app.telemetry import metrics, tracing
from stream_app.telemetry.log import get_logger
from stream_app.telemetry.tracing import Span
from topics.events import ClipCompleted, ClipOutcome, MixAccepted, MixFailed, MixRendered
from topics.ids import RecordRef, derived_id, span_id_of

OWN_FAULT_WAIT_S = 2.0

log = get_logger()


class Joiner:
    """Has mixes joined, and says how each ended."""

    def __init__(self, settings: Settings, sources: Sources, processes: JoinProcesses, clock: Clock) -> None:
        self._settings = settings
        self._sources = sources
        self._processes = processes
        self._clock = clock
        self._songs = asyncio.Semaphore(1)

    async def prepare(self, accepted: MixAccepted) -> None:
        """Have the song ready while the clips are cut, one song after the other.

        Whatever goes wrong here is met again, and told, by `join`.
        """
        if accepted.song is None:
            return
        with suppress(MixError, OwnFaultError):
            async with self._songs, song_here(self._sources, accepted.song) as path:
                if path is not None:
                    order = SongOrder(
                        song=accepted.song,
                        song_path=path,
                        frames=accepted.total_frames,
                        profile=accepted.profile,
                        songs_dir=self._settings.songs_dir,
                    )
                    await self._processes.prepare_song(order, timeout_s=self._join_timeout_s)

    async def join(self, mix: Mix, cause: RecordRef) -> MixRendered | MixFailed:
        """Make the video of a mix that is ready; `cause` is the record that made it so.

        A fault of our own side (disk, memory) is waited out, however long it takes.
        """
        accepted = mix.accepted
        if accepted is None:
            raise ValueError("only an accepted mix can be joined")
        started_ms = self._clock()
        end = await self._until_joined(mix, accepted, cause)
        tracing.record(_span(end, accepted, started_ms))
        return end

    async def _until_joined(
        self, mix: Mix, accepted: MixAccepted, cause: RecordRef
    ) -> MixRendered | MixFailed:
        with self._saying_when_paused(accepted) as paused:
            while True:
                try:
                    return self._rendered(mix, accepted, cause, await self._assemble(mix, accepted))
                except MixError as error:
                    return self._failed(accepted, cause, error)
                except OwnFaultError as error:
                    paused(error)
                    await self._sources.make_room()
                    await asyncio.sleep(OWN_FAULT_WAIT_S)

    @contextmanager
    def _saying_when_paused(self, accepted: MixAccepted) -> Iterator[Callable[[OwnFaultError], None]]:
        """Whoever has to wait calls what is yielded, each time; it is said once, and once that it is over."""
        about = {"mix_id": accepted.mix_id, "trace_id": accepted.trace_id}
        since_ms: int | None = None

        def paused(error: OwnFaultError) -> None:
            nonlocal since_ms
            if since_ms is None:
                since_ms = self._clock()
                metrics.PAUSED.labels("joining").inc()
                log.error("render_worker.paused", **about, error=str(error))

        try:
            yield paused
        finally:
            if since_ms is not None:
                metrics.PAUSED.labels("joining").dec()
        # Not when it is given up: its next owner will say how it goes on.
        if since_ms is not None:
            log.info("render_worker.resumed", **about, paused_ms=self._clock() - since_ms)

    async def _assemble(self, mix: Mix, accepted: MixAccepted) -> Assembled:
        async with song_here(self._sources, accepted.song) as song:
            started = time.monotonic()
            order = assemble_order(mix, accepted, self._settings, song)
            assembled = await self._processes.assemble(order, timeout_s=self._join_timeout_s)
        metrics.JOIN_DURATION_MS.observe((time.monotonic() - started) * 1000)
        return assembled

    @property
    def _join_timeout_s(self) -> float:
        return self._settings.join_timeout_ms / 1000

    def _rendered(
        self, mix: Mix, accepted: MixAccepted, cause: RecordRef, assembled: Assembled
    ) -> MixRendered:
        return MixRendered(
            **self._common("mix-rendered", accepted, cause),
            revision=accepted.revision,
            uri=assembled.path.resolve().as_uri(),
            sha256=assembled.sha256,
            bytes=assembled.bytes,
            frames=assembled.frames,
            duration_ms=assembled.duration_ms,
            clip_stats=mix.stats(),
        )

    def _failed(self, accepted: MixAccepted, cause: RecordRef, error: MixError) -> MixFailed:
        return MixFailed(
            **self._common("mix-failed", accepted, cause),
            revision=accepted.revision,
            reason=error.reason,
            message=str(error),
        )

    def _common(self, event_type: str, accepted: MixAccepted, cause: RecordRef) -> dict[str, Any]:
        return {
            "event_id": derived_id(event_type, accepted.event_id),
            "mix_id": accepted.mix_id,
            "trace_id": accepted.trace_id,
            "caused_by": str(cause),
            "at_ms": self._clock(),
        }


def _span(end: MixRendered | MixFailed, accepted: MixAccepted, started_ms: int) -> Span:
    facts: dict[str, str | int] = {"mix_id": end.mix_id, "revision": accepted.revision, "result": end.type}
    if isinstance(end, MixRendered):
        facts |= {"frames": end.frames, "bytes": end.bytes, "duration_ms": end.duration_ms}
        facts |= {"clips": end.clip_stats.total_clips, "placeholders": end.clip_stats.placeholder_tasks}
    else:
        facts["reason"] = end.reason.value
    return Span(
        "join",
        end.trace_id,
        span_id_of(end.event_id),
        span_id_of(accepted.event_id),
        started_ms,
        end.at_ms,
        facts,
        error=end.message if isinstance(end, MixFailed) else None,
    )


def assemble_order(mix: Mix, accepted: MixAccepted, settings: Settings, song: Path | None) -> AssembleOrder:
    """What to join: every clip at its place, black between them, and the song, whose file is `song`."""
    return AssembleOrder(
        mix_id=accepted.mix_id,
        revision=accepted.revision,
        profile=accepted.profile,
        parts=tuple(_parts(mix, accepted)),
        song=accepted.song,
        song_path=song,
        lyrics=tuple(
            Lyric(text=line.text, start_ms=line.start_ms, end_ms=line.end_ms) for line in accepted.lines
        ),
        sidecars=accepted.subtitles.sidecar,
        mixes_dir=settings.mixes_dir,
        songs_dir=settings.songs_dir,
    )


def _parts(mix: Mix, accepted: MixAccepted) -> Iterator[Part]:
    for span in timeline(accepted.lines, accepted.total_frames):
        if span.line is None:
            yield Part(kind="filler", frames=span.frames)
        else:
            yield _part(mix.outcomes[span.line.clip_task_id])


def _part(outcome: ClipOutcome) -> Part:
    return Part(
        kind="clip" if isinstance(outcome, ClipCompleted) else "placeholder",
        frames=outcome.frames,
        path=path_of(outcome.uri),
        sha256=outcome.sha256,
    )
