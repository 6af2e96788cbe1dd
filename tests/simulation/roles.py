"""The three parts of a worker as generators: each `yield` is a moment at which the process may die.

They use the very functions of the domain that the program uses, and send and commit in its order; each
names what it mirrors.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from stream_app.assembly.recent_ends import RecentEnds
from stream_app.domain.attempts import next_task
from stream_app.domain.errors import SourceError
from stream_app.domain.intake import Asked, Moment, decide, mix_id_of, needs_story
from stream_app.domain.known import noted
from stream_app.domain.mix import Mix
from stream_app.domain.schedule import Queue, Waiting
from stream_app.domain.unfinished import UnfinishedMixes
from tests.simulation.kafka import Entry, Kafka, Place, place_of, places
from topics.config import RenderClipConfig
from topics.events import (
    ClipAttemptFailed,
    ClipCompleted,
    ClipPlaceholder,
    MixAccepted,
    MixFailed,
    MixRendered,
)
from topics.ids import derived_id
from topics.reasons import FallbackReason
from topics.tasks import ClipTask, PastAttempt

INTAKE, CUTTER, ASSEMBLER = "intake", "cutter", "assembler"
TOPIC_OF = {INTAKE: "mix-requests", CUTTER: "clip-tasks", ASSEMBLER: "mix-events"}
CONFIG = RenderClipConfig(max_parallelism=2, per_video_limit=1, max_retry=1, retry_backoff_ms=20)

Steps = Generator[str, None, None]
Choose = Callable[[int], int]
"""One of so many, as the schedule has it."""


@dataclass
class World:
    """What all processes see: Kafka, the time, and what the schedule chooses."""

    kafka: Kafka
    choose: Choose
    now_ms: int = 1_000
    running: list[tuple[str, str]] = field(default_factory=list)
    """(worker, video) of each attempt in a slot."""

    def send_event(self, event: Any) -> None:
        self.kafka.append("mix-events", event.mix_id, event)

    def send_task(self, task: ClipTask) -> None:
        self.kafka.append("clip-tasks", task.key, task)


def intake(world: World, place: Place) -> Steps:
    """`agents.intake.Intake`: decide, append events, queue tasks; only then the request counts as done."""
    kafka = world.kafka
    for offset in count(kafka.position(INTAKE, place)):
        while offset >= kafka.end(place):
            yield "intake waits"
        entry = kafka.logs[place][offset]
        yield from decided(world, entry)
        kafka.commit(INTAKE, place, offset + 1)
        yield f"intake commits {entry.ref}"


def decided(world: World, entry: Entry) -> Steps:
    """What one request leads to."""
    mix_id = mix_id_of(entry.value, entry.key.encode(), entry.ref)
    home = place_of("mix-events", mix_id)
    # `MixIndex.get` has read the log up to its end of this moment.
    told = list(world.kafka.logs[home])
    known = None
    for each in told:
        if each.key == mix_id:
            is_of_clip = isinstance(each.value, ClipCompleted | ClipPlaceholder | ClipAttemptFailed)
            known = noted(known, None if is_of_clip else each.value, each.ref.offset)
    asked = Asked(entry.value, entry.ref, world.now_ms, mix_id)
    story = None
    if known and needs_story(asked, known):
        story = fold(each for each in told[known.log_start : known.log_end] if each.key == mix_id)
    decision = decide(asked, known, story, Moment(-1, len(told), world.now_ms))
    yield f"intake has decided {entry.ref}: {decision.result}"
    for event in decision.events:
        world.send_event(event)
        yield f"intake appends {event.type} of {mix_id}"
    for task in decision.tasks:
        world.send_task(task)
        yield f"intake queues line {task.line_id} of {mix_id}"


def fold(entries: Iterator[Entry]) -> Mix:
    mix = Mix()
    for entry in entries:
        mix.apply(entry.value)
    return mix


@dataclass
class Done:
    """`kafka.tracker`: a partition is committed up to the first record that is not done."""

    world: World
    group: str
    place: Place
    position: int
    finished: set[int] = field(default_factory=set)

    def finish(self, offset: int) -> None:
        self.finished.add(offset)
        while self.position in self.finished:
            self.position += 1
        self.world.kafka.commit(self.group, self.place, self.position)


class Cutter:
    """`cutting.service.Cutter`: waiting tasks of all its partitions in one queue, attempts in slots."""

    def __init__(self, world: World, worker: str) -> None:
        self.world = world
        self.worker = worker
        self.queue = Queue()
        self.tasks: dict[int, tuple[ClipTask, Entry, Done]] = {}
        self.attempts: dict[int, Steps] = {}
        self._orders = count()

    def read(self, place: Place) -> Steps:
        """Deliver what a partition holds; what no mix wants any more is done at once (`_admit`)."""
        kafka = self.world.kafka
        done = Done(self.world, CUTTER, place, kafka.position(CUTTER, place))
        for offset in count(done.position):
            while offset >= kafka.end(place):
                yield "cutter waits"
            entry = kafka.logs[place][offset]
            if self._wants(entry.value):
                order = next(self._orders)
                self.tasks[order] = entry.value, entry, done
                video = entry.value.candidate.video_id if entry.value.candidate else None
                task = entry.value
                self.queue.add(
                    Waiting(order, task.mix_id, video, task.priority, task.not_before_ms, task.deadline_at_ms)
                )
            else:
                done.finish(offset)
            yield f"cutter takes {entry.ref}"

    def _wants(self, task: ClipTask) -> bool:
        unfinished = UnfinishedMixes()
        for place in places("mix-events"):
            for entry in self.world.kafka.logs[place]:
                unfinished.apply(entry.value)
        return bool(unfinished.wants(task))

    def start(self) -> None:
        """`_start_what_fits`."""
        while len(self.attempts) < CONFIG.max_parallelism:
            waiting = self.queue.take_next(per_video_limit=CONFIG.per_video_limit, now_ms=self.world.now_ms)
            if waiting is None:
                return
            self.attempts[waiting.order] = self._attempt(waiting)

    def _attempt(self, waiting: Waiting) -> Steps:
        """`cutting.attempt.AttemptRunner`: the event, then what follows from it; then the task is done."""
        task, entry, done = self.tasks[waiting.order]
        slot = self.worker, waiting.video or ""
        self.world.running.append(slot)
        try:
            started_ms = self.world.now_ms
            yield f"{self.worker} starts {_named(task)}"
            if not self._wants(task):
                outcome = "is dropped"
            else:
                outcome = yield from self._work(task, entry, started_ms)
        finally:
            self.world.running.remove(slot)
            self.queue.release(waiting)
            del self.attempts[waiting.order]
        if outcome == "meets a full disk":
            # `_put_back`: the record stays uncommitted and is tried again.
            self.queue.add(Waiting(waiting.order, task.mix_id, waiting.video, task.priority, started_ms + 50))
        else:
            done.finish(entry.ref.offset)
        yield f"{self.worker}: {_named(task)} {outcome}"

    def _work(self, task: ClipTask, entry: Entry, started_ms: int) -> Generator[str, None, str]:
        common = self._common(task, entry)
        if task.candidate is None:
            self.world.send_event(_placeholder(common, FallbackReason.NO_CANDIDATES, ()))
            return "is a placeholder"
        kind = self.world.choose(4)
        if kind == 3:
            return "meets a full disk"
        facts = {
            **common,
            "video_id": task.candidate.video_id,
            "candidate_index": task.candidate_index,
            "attempt": task.attempt,
            "parallel_slot": 0,
            "started_at_ms": started_ms,
            "finished_at_ms": self.world.now_ms,
        }
        if kind == 0:
            self.world.send_event(ClipCompleted(**facts, **_CLIP, event_id=_identity("completed", task)))
            return "is completed"
        error = SourceError(FallbackReason.CDN_ERROR, "503", stage="fetch", retryable=kind == 1)
        failure = PastAttempt(
            video_id=task.candidate.video_id,
            candidate_index=task.candidate_index,
            reason=error.reason,
            error="503",
        )
        self.world.send_event(
            ClipAttemptFailed(
                **facts,
                reason=error.reason,
                error="503",
                retryable=error.retryable,
                event_id=_identity("failed", task),
            )
        )
        yield f"{self.worker}: {_named(task)} has failed"
        following = next_task(task, failure, error, config=CONFIG, now_ms=self.world.now_ms)
        if isinstance(following, FallbackReason):
            self.world.send_event(_placeholder(common, following, (*task.attempts, failure)))
        else:
            self.world.send_task(following.model_copy(update={"caused_by": str(entry.ref)}))
        return "is followed up"

    def _common(self, task: ClipTask, entry: Entry) -> dict[str, Any]:
        return {
            "mix_id": task.mix_id,
            "trace_id": task.trace_id,
            "caused_by": str(entry.ref),
            "at_ms": self.world.now_ms,
            "clip_task_id": task.clip_task_id,
            "clip_index": task.clip_index,
            "worker": self.worker,
            "config_version": -1,
        }


_CLIP = {
    "uri": "file:///clip.mp4",
    "sha256": "c" * 64,
    "bytes": 1,
    "frames": 30,
    "first_source_ms": 0,
    "last_source_ms": 967,
    "method": "simulated",
    "isolation": "none",
}


def _placeholder(
    common: dict[str, Any], reason: FallbackReason, attempts: tuple[PastAttempt, ...]
) -> ClipPlaceholder:
    return ClipPlaceholder(
        **common,
        event_id=derived_id("clip-placeholder", common["clip_task_id"]),
        fallback_reason=reason,
        attempts=attempts,
        uri="file:///black.mp4",
        sha256="b" * 64,
        frames=30,
    )


def _identity(what: str, task: ClipTask) -> str:
    return derived_id(what, task.clip_task_id, task.candidate_index, task.attempt)


def _named(task: ClipTask) -> str:
    return f"line {task.line_id} of {task.mix_id}, candidate {task.candidate_index}, attempt {task.attempt}"


@dataclass
class _InWork:
    mix: Mix
    deliveries: list[Entry] = field(default_factory=list)
    joined: MixAccepted | None = None


def assembler(world: World, place: Place) -> Steps:
    """`assembly.service.Assembler`: a record is done when its mix's end was read back from the log."""
    kafka = world.kafka
    done = Done(world, ASSEMBLER, place, kafka.position(ASSEMBLER, place))
    since = done.position
    in_work: dict[str, _InWork] = {}
    ended = RecentEnds()
    for offset in count(done.position):
        while offset >= kafka.end(place):
            yield "assembler waits"
        entry = kafka.logs[place][offset]
        event = entry.value
        work = in_work.get(event.mix_id)
        if work is None and isinstance(event, MixAccepted) and not ended.has(event):
            work = in_work[event.mix_id] = _InWork(_recalled(kafka, place, event, offset, since))
        if work is None:
            done.finish(offset)
            continue
        work.deliveries.append(entry)
        work.mix.apply(event)
        yield f"assembler folds {entry.ref}"
        if work.mix.end is not None and work.mix.accepted is not None:
            ended.note(work.mix.accepted)
            del in_work[event.mix_id]
            for each in work.deliveries:
                done.finish(each.ref.offset)
            yield f"assembler has ended {event.mix_id}"
        elif work.mix.is_ready and work.joined is not work.mix.accepted:
            work.joined = work.mix.accepted
            yield from _join(world, work)


def _recalled(kafka: Kafka, place: Place, event: MixAccepted, here: int, since: int) -> Mix:
    """`_begin`: what was told of the mix before, when that was not read here."""
    start = event.log_start if event.log_start is not None else here
    if start < here and (event.revision > 1 or start < since):
        return fold(each for each in kafka.logs[place][start:here] if each.key == event.mix_id)
    return Mix()


def _join(world: World, work: _InWork) -> Steps:
    """`_join`; a song may be missing."""
    accepted, cause = work.mix.accepted, work.deliveries[-1]
    assert accepted is not None
    common = {
        "mix_id": accepted.mix_id,
        "trace_id": accepted.trace_id,
        "caused_by": str(cause.ref),
        "at_ms": world.now_ms,
        "revision": accepted.revision,
    }
    end: MixRendered | MixFailed
    if world.choose(4) == 3:
        identity = derived_id("mix-failed", accepted.mix_id, accepted.revision)
        end = MixFailed(**common, event_id=identity, reason="song_unavailable", message="it is away")
    else:
        identity = derived_id("mix-rendered", accepted.mix_id, accepted.revision)
        video = {"uri": "file:///v.mp4", "sha256": "d" * 64, "bytes": 1, "frames": 60, "duration_ms": 2000}
        end = MixRendered(**common, **video, event_id=identity, clip_stats=work.mix.stats())
    yield f"assembler has joined {accepted.mix_id}"
    world.send_event(end)
    yield f"assembler appends {end.type} of {accepted.mix_id}"
