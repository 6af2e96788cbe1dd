"""Attempts and the deadline of their mix, on a pool that does as it is told."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stream_app.clock import now_ms
from stream_app.cutting.attempt import AttemptRunner
from stream_app.cutting.orders import ABSENT, CutOrder, CutResult, Order, PlaceholderOrder
from stream_app.domain.config import ConfigInForce
from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.sources import Sources
from tests.unit.domain.test_attempts import first_task
from topics.config import RenderClipConfig
from topics.events import ClipAttemptFailed, ClipPlaceholder, MixEvent
from topics.ids import RecordRef
from topics.reasons import FallbackReason
from topics.tasks import ClipTask

REF = RecordRef("clip-tasks", 0, 7)
FOR_EVER_S = 60


class Pool:
    """Cuts for ever, or until it fails as told; placeholders take a moment."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.orders: list[Order] = []
        self._failure = failure

    async def run(self, order: Order) -> CutResult:
        self.orders.append(order)
        if isinstance(order, PlaceholderOrder):
            await asyncio.sleep(0.05)
            return CutResult(
                path=Path("p.mp4"),
                sha256="a" * 64,
                bytes=1,
                frames=order.frames,
                black_frames=0,
                first_source_ms=None,
                last_source_ms=None,
                method="test",
                isolation="none",
                duration_ms=50,
                recalled=False,
            )
        if self._failure:
            raise self._failure
        await asyncio.sleep(FOR_EVER_S)
        raise AssertionError


class Log:
    """What was sent."""

    def __init__(self) -> None:
        self.events: list[MixEvent] = []
        self.tasks: list[ClipTask] = []

    async def send_event(self, event: MixEvent) -> None:
        self.events.append(event)

    async def send_tasks(self, tasks: Sequence[ClipTask]) -> None:
        self.tasks += tasks


async def attempt(tmp_path: Path, pool: Pool, *videos: str, **changes: Any) -> Log:
    """Run the first attempt of a task to its end."""
    (tmp_path / "a.mp4").touch()
    log = Log()
    settings = Settings(kafka_bootstrap="nowhere:1", media_roots=(tmp_path,), artifacts_dir=tmp_path)
    runner = AttemptRunner(
        settings,
        log,  # type: ignore[arg-type]
        Sources(settings, pool),  # type: ignore[arg-type]
        pool,  # type: ignore[arg-type]
        config=lambda: ConfigInForce(0, RenderClipConfig(max_retry=1)),
        clock=now_ms,
        worker="w",
    )
    async with asyncio.timeout(10):
        await runner.run(first_task(*videos, **changes), REF, 0)
    return log


async def test_the_deadline_ends_an_attempt_and_not_the_placeholder(tmp_path: Path) -> None:
    log = await attempt(tmp_path, Pool(), "a", "b", deadline_at_ms=now_ms() + 100)
    failed, placeholder = log.events
    assert isinstance(failed, ClipAttemptFailed)
    assert (failed.reason, failed.retryable) == (FallbackReason.DEADLINE_EXCEEDED, False)
    assert isinstance(placeholder, ClipPlaceholder)
    assert placeholder.fallback_reason is FallbackReason.DEADLINE_EXCEEDED
    assert [past.reason for past in placeholder.attempts] == [FallbackReason.DEADLINE_EXCEEDED]
    assert log.tasks == []


async def test_after_the_deadline_there_is_a_placeholder_and_no_attempt(tmp_path: Path) -> None:
    pool = Pool()
    (placeholder,) = (await attempt(tmp_path, pool, "a", deadline_at_ms=now_ms())).events
    assert isinstance(placeholder, ClipPlaceholder)
    assert placeholder.fallback_reason is FallbackReason.DEADLINE_EXCEEDED
    assert [type(order) for order in pool.orders] == [PlaceholderOrder]


async def test_a_line_without_candidates_says_so_whatever_the_time(tmp_path: Path) -> None:
    (placeholder,) = (await attempt(tmp_path, Pool(), deadline_at_ms=now_ms())).events
    assert isinstance(placeholder, ClipPlaceholder)
    assert placeholder.fallback_reason is FallbackReason.NO_CANDIDATES


async def test_a_retry_is_queued_for_when_the_server_wants_it(tmp_path: Path) -> None:
    busy = SourceError(
        FallbackReason.CDN_ERROR, "503", stage="fetch", retryable=True, retry_after_ms=3_600_000
    )
    before = now_ms()
    log = await attempt(tmp_path, Pool(busy), "a")
    (retry,) = log.tasks
    assert retry.not_before_ms >= before + 3_600_000
    assert (retry.attempt, retry.caused_by, len(retry.attempts)) == (2, str(REF), 1)


async def test_a_time_limit_that_is_not_the_deadline_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="of another kind"):
        await attempt(tmp_path, Pool(TimeoutError("of another kind")), "a", deadline_at_ms=now_ms() + 60_000)


class Partly(Pool):
    """Has too few bytes of the source at first."""

    async def run(self, order: Order) -> CutResult:
        if not self.orders:
            self._failure = SourceError(FallbackReason.CUT_FAILED, "absent", stage=ABSENT, retryable=True)
        else:
            self._failure = SourceError(FallbackReason.SOURCE_INVALID, "the whole was asked for", stage="cut")
        return await super().run(order)


async def test_when_fewer_bytes_did_not_do_the_whole_source_is_cut_in_the_same_attempt(
    tmp_path: Path,
) -> None:
    pool = Partly()
    log = await attempt(tmp_path, pool, "a")
    assert len([order for order in pool.orders if isinstance(order, CutOrder)]) == 2
    failed = log.events[0]
    assert isinstance(failed, ClipAttemptFailed)
    assert (failed.reason, failed.attempt) == (FallbackReason.SOURCE_INVALID, 1)
