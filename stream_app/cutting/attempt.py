"""One attempt: from the slot it takes to the event, acknowledged by Kafka, that says how it ended."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from stream_app.clock import Clock
from stream_app.cutting.facts import Attempt, placeholder_inserted
from stream_app.cutting.lyrics.task import overlay_of, warn_of_undrawn
from stream_app.cutting.orders import ABSENT, CutOrder, CutResult, PlaceholderOrder
from stream_app.cutting.outage import Outage
from stream_app.cutting.phases import Phases
from stream_app.cutting.placeholder_asset import locate_asset
from stream_app.cutting.pool import CutterPool
from stream_app.cutting.spans import attempt_spans, placeholder_span, task_span
from stream_app.domain.attempts import is_overdue, next_task
from stream_app.domain.config import ConfigInForce
from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.kafka.writer import Writer
from stream_app.settings import Settings
from stream_app.sources.source_file import Need, SourceFile
from stream_app.sources.sources import Sources
from stream_app.telemetry import metrics, tracing
from stream_app.telemetry.log import get_logger
from topics.events import MixEvent
from topics.ids import RecordRef, derived_id
from topics.reasons import FallbackReason
from topics.requests import Candidate
from topics.tasks import ClipTask, PastAttempt

RETRIEVAL_REASONS = {
    FallbackReason.CDN_ERROR,
    FallbackReason.CDNS_UNREACHABLE,
    FallbackReason.SOURCE_REFUSED,
    FallbackReason.SOURCE_MISSING,
    FallbackReason.SOURCE_INVALID,
}
"""Failures in which the source could not be had, apart from those in which it could not be cut."""

PLACEHOLDER_TIMEOUT_MS = 120_000
"""A placeholder is given so long however short `clip_timeout_ms` is."""

log = get_logger()


class AttemptRunner:
    """Makes attempts for one worker. The config in force is read at the start of each."""

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        sources: Sources,
        pool: CutterPool,
        *,
        config: Callable[[], ConfigInForce],
        clock: Clock,
        worker: str,
    ) -> None:
        self._roots = settings.media_roots
        self._writer = writer
        self._sources = sources
        self._pool = pool
        self._config = config
        self._clock = clock
        self._worker = worker
        self._outage = Outage()

    async def run(self, task: ClipTask, ref: RecordRef, slot: int) -> None:
        """Try the task's candidate; when there is nothing to try, or no time, make the placeholder.

        The mix's deadline ends the attempt, never the placeholder's own work. Returns when all that follows
        from the attempt is acknowledged.

        Raises:
            OwnFaultError: a fault of our own side; the task is to be tried again later, unchanged.
        """
        await self._work_on(task, ref, slot)
        tracing.record(task_span(task, self._clock()))

    async def _work_on(self, task: ClipTask, ref: RecordRef, slot: int) -> None:
        config = self._config()
        if task.candidate is None:
            await self._insert_placeholder(task, ref, FallbackReason.NO_CANDIDATES, task.attempts, config)
            return
        if is_overdue(task, self._clock()):
            await self._insert_placeholder(task, ref, FallbackReason.DEADLINE_EXCEEDED, task.attempts, config)
            return
        attempt = Attempt(task, task.candidate, ref, slot, config, self._worker, self._clock())
        phases = Phases(self._clock)
        log.info("twelvelabs.video_clip", **_about(attempt))
        try:
            with metrics.CLIP_INFLIGHT.labels(self._worker).track_inprogress():
                clip = await self._cut_in_time(attempt, phases)
        except OwnFaultError:
            await self._sources.make_room()
            raise
        except SourceError as error:
            await self._report_failure(attempt, phases, error)
        else:
            await self._report_success(attempt, phases, clip)

    async def _cut_in_time(self, attempt: Attempt, phases: Phases) -> CutResult:
        deadline_ms = attempt.task.deadline_at_ms
        left_s = None if deadline_ms is None else (deadline_ms - self._clock()) / 1000
        try:
            async with asyncio.timeout(left_s) as limit:
                return await self._cut(attempt, phases)
        except TimeoutError as error:
            if not limit.expired():
                raise
            message = "the mix's time was up before this attempt had ended"
            raise SourceError(FallbackReason.DEADLINE_EXCEEDED, message, stage="cut") from error

    async def _cut(self, attempt: Attempt, phases: Phases) -> CutResult:
        task, candidate = attempt.task, attempt.candidate
        need = Need(candidate.start_ms, task.frames, task.extend_frames, task.profile.rate)
        try:
            phases.begin("fetch")
            async with self._sources.obtain(candidate.uri, need) as source:
                return await self._make(attempt, source, phases)
        except SourceError as error:
            if error.stage != ABSENT:
                raise
        # The index had promised that fewer bytes would do.
        phases.begin("fetch")
        async with self._sources.obtain_whole(candidate.uri) as source:
            return await self._make(attempt, source, phases)

    async def _make(self, attempt: Attempt, source: SourceFile, phases: Phases) -> CutResult:
        phases.begin("cut")
        clip = await self._pool.run(_order(attempt.task, attempt.candidate, source, attempt.config))
        if not clip.recalled:
            phases.begin("store", ago_ms=clip.store_ms)
        return clip

    async def _report_success(self, attempt: Attempt, phases: Phases, clip: CutResult) -> None:
        event = attempt.completed(clip, self._clock())
        await self._send(event)
        duration_ms = event.finished_at_ms - event.started_at_ms
        metrics.CLIP_DURATION_MS.observe(duration_ms)
        metrics.CLIPS_RECALLED.inc(clip.recalled)
        log.info(
            "render_worker.clip_task_completed",
            **_about(attempt),
            duration_ms=duration_ms,
            **phases.durations_ms(event.finished_at_ms),
            frames=event.frames,
            bytes=event.bytes,
            sha256=event.sha256,
            first_source_ms=event.first_source_ms,
            last_source_ms=event.last_source_ms,
            method=event.method,
            isolation=event.isolation,
            recalled=clip.recalled,
        )
        warn_of_undrawn(attempt.task, clip)
        tracing.record(*attempt_spans(attempt, event, phases.until(event.finished_at_ms), self._clock()))

    async def _report_failure(self, attempt: Attempt, phases: Phases, error: SourceError) -> None:
        event = attempt.failed(error, self._clock())
        await self._send(event)
        metrics.CLIP_FAILURES.labels(error.reason).inc()
        name = "retrieve_exception" if error.reason in RETRIEVAL_REASONS else "cut_exception"
        log.warning(
            f"twelvelabs.{name}",  # noqa: G004 - one of two fixed names
            **_about(attempt),
            error=str(error),
            reason=error.reason,
            retryable=error.retryable,
            duration_ms=event.finished_at_ms - event.started_at_ms,
            **phases.durations_ms(event.finished_at_ms),
        )
        tracing.record(*attempt_spans(attempt, event, phases.until(event.finished_at_ms), self._clock()))
        await self._follow_up(attempt, error)

    async def _follow_up(self, attempt: Attempt, error: SourceError) -> None:
        task, failure = attempt.task, attempt.as_past(error)
        following = next_task(task, failure, error, config=attempt.config.config, now_ms=self._clock())
        if isinstance(following, FallbackReason):
            attempts = (*task.attempts, failure)
            await self._insert_placeholder(task, attempt.ref, following, attempts, attempt.config)
            return
        identity = derived_id("clip-task", task.clip_task_id, following.candidate_index, following.attempt)
        sent = {"event_id": identity, "caused_by": str(attempt.ref), "at_ms": self._clock()}
        with self._outage.noticed():
            await self._writer.send_tasks((following.model_copy(update=sent),))

    async def _insert_placeholder(
        self,
        task: ClipTask,
        ref: RecordRef,
        reason: FallbackReason,
        attempts: tuple[PastAttempt, ...],
        config: ConfigInForce,
    ) -> None:
        order = PlaceholderOrder(
            asset=self._placeholder_asset(config),
            frames=task.frames + task.extend_frames,
            profile=task.profile,
            # A limit too short for cutting is to give placeholders, not to stop the worker for want of them.
            clip_timeout_ms=max(config.config.clip_timeout_ms, PLACEHOLDER_TIMEOUT_MS),
            overlay=overlay_of(task),
        )
        started_ms = self._clock()
        try:
            clip = await self._pool.run(order)
        except SourceError as error:
            # Made of our own asset: that it cannot be made is no fault of the source.
            raise OwnFaultError(f"the placeholder could not be made: {error}") from error
        event = placeholder_inserted(
            task,
            reason,
            attempts,
            clip,
            ref,
            worker=self._worker,
            config_version=config.version,
            now_ms=self._clock(),
        )
        await self._send(event)
        metrics.CLIP_PLACEHOLDERS.labels(event.fallback_reason).inc()
        log.info(
            "render_worker.placeholder_inserted",
            mix_id=task.mix_id,
            trace_id=task.trace_id,
            clip_task_id=task.clip_task_id,
            clip_index=task.clip_index,
            fallback_reason=event.fallback_reason,
            attempts=len(attempts),
            videos=[each.video_id for each in attempts],
            error=attempts[-1].error if attempts else None,
            worker=self._worker,
            frames=event.frames,
            sha256=event.sha256,
            method=clip.method,
            recalled=clip.recalled,
            duration_ms=event.at_ms - started_ms,
            config_version=config.version,
        )
        warn_of_undrawn(task, clip)
        tracing.record(placeholder_span(task, event, started_ms, self._clock()))

    async def _send(self, event: MixEvent) -> None:
        with self._outage.noticed():
            await self._writer.send_event(event)

    def _placeholder_asset(self, config: ConfigInForce) -> Path | None:
        """The asset that the config names; plain black stands in for one that is not there."""
        path = config.config.placeholder_asset_path
        try:
            return locate_asset(path, self._roots)
        except SourceError as error:
            log.warning("render_worker.placeholder_asset_unusable", path=path, error=str(error))
            return None


def _order(task: ClipTask, candidate: Candidate, source: SourceFile, config: ConfigInForce) -> CutOrder:
    return CutOrder(
        source=source,
        start_ms=candidate.start_ms,
        frames=task.frames,
        extend_frames=task.extend_frames,
        profile=task.profile,
        clip_timeout_ms=config.config.clip_timeout_ms,
        overlay=overlay_of(task),
    )


def _about(attempt: Attempt) -> dict[str, object]:
    """What every log line of an attempt says."""
    task = attempt.task
    return {
        "mix_id": task.mix_id,
        "trace_id": task.trace_id,
        "clip_task_id": task.clip_task_id,
        "clip_index": task.clip_index,
        "parallel_slot": attempt.slot,
        "video_id": attempt.candidate.video_id,
        "candidate_index": task.candidate_index,
        "attempt": task.attempt,
        "worker": attempt.worker,
        "config_version": attempt.config.version,
    }
