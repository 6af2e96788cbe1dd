"""The cutter between deliveries and slots, with attempts that end as the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from stream_app.clock import Clock, now_ms
from stream_app.cutting import pause, service
from stream_app.cutting.pause import PROBE_EVERY_MS, PUT_BACK_MS
from stream_app.cutting.service import Cutter
from stream_app.domain.config import ConfigInForce
from stream_app.domain.errors import OwnFaultError
from stream_app.domain.unfinished import Asked
from stream_app.kafka.group_reader import Delivery
from stream_app.kafka.record import Record
from stream_app.kafka.tracker import OffsetTracker
from tests.unit.domain.test_attempts import first_task
from topics.codec import encode
from topics.config import RenderClipConfig
from topics.ids import RecordRef
from topics.registry import CLIP_TASKS
from topics.tasks import ClipTask

PARTITION = TopicPartition(CLIP_TASKS.name, 0)
SLOTS = 2


class Attempts:
    """Attempts that wait for the test to end them; `ends` are those that end by themselves, and how."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running: dict[str, asyncio.Future[None]] = {}
        self.ends: dict[str, Exception | None] = {}

    async def run(self, task: ClipTask, ref: RecordRef, slot: int) -> None:
        assert slot < SLOTS
        assert ref.topic == CLIP_TASKS.name
        name = task.clip_task_id
        self.started.append(name)
        if name in self.ends:
            if error := self.ends[name]:
                raise error
            return
        assert name not in self.running, "the same task twice at once"
        self.running[name] = asyncio.get_running_loop().create_future()
        try:
            await self.running[name]
        finally:
            del self.running[name]

    def end(self, name: str, error: Exception | None = None) -> None:
        if error:
            self.running[name].set_exception(error)
        else:
            self.running[name].set_result(None)


@dataclass
class Plans:
    """Which clips are wanted: those of mixes in `known`, and after catching up those in `log`."""

    known: dict[str, set[str]] = field(default_factory=dict)
    log: dict[str, set[str]] = field(default_factory=dict)
    may_catch_up: asyncio.Event = field(default_factory=asyncio.Event)
    questions: int = 0

    def wants(self, clip: Asked) -> bool | None:
        plan = self.known.get(clip.mix_id)
        return None if plan is None else not plan or clip.clip_task_id in plan

    async def catch_up(self) -> None:
        self.questions += 1
        await self.may_catch_up.wait()
        self.known |= self.log


class NoWriter:
    """Nothing in these tests is put aside."""


class Bench:
    """A cutter with all that it needs, and a clock that stands still until it is moved."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.attempts = Attempts()
        self.plans = Plans(known={"m1": set(), "m2": set()})
        self.now_ms = 1_000_000
        self.tracker = OffsetTracker()
        self._offsets = count()
        self.when_it_looks: Callable[[], object] = lambda: None
        self.cutter = Cutter(
            self.attempts,
            NoWriter(),  # type: ignore[arg-type]
            self.plans,
            config=self._look,
            clock=clock or (lambda: self.now_ms),
            drain_timeout_ms=100,
        )

    def _look(self) -> ConfigInForce:
        self.when_it_looks()
        return ConfigInForce(0, RenderClipConfig(max_parallelism=SLOTS, per_video_limit=1))

    def deliver(self, name: str, *, video: str | None = None, **changes: Any) -> int:
        """Hand a task out, of a video of its own if none is named; its offset."""
        facts = {"clip_task_id": name, "event_id": f"event-{name}", **changes}
        task = first_task(video or name, **facts)
        offset = next(self._offsets)
        self.tracker.deliver(offset)
        ref = RecordRef(CLIP_TASKS.name, PARTITION.partition, offset)
        self.cutter.deliver(Delivery(Record(ref, 0, task.key.encode(), encode(task), []), self.tracker))
        return offset

    async def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        self.cutter.wake()
        await settled()

    @property
    def all_is_done(self) -> bool:
        return self.tracker.in_flight == 0


async def settled() -> None:
    """Let all that can happen now happen."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def at_work(bench: Bench) -> AsyncIterator[Bench]:
    stop = asyncio.Event()
    running = asyncio.create_task(bench.cutter.run(stop))
    try:
        yield bench
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with at_work(Bench()) as bench:
        yield bench


def said(lines: list[Any], *events: str) -> list[str]:
    return [line["event"] for line in lines if line["event"] in events]


async def test_as_many_run_as_there_are_slots_and_each_is_done_when_it_has_ended(bench: Bench) -> None:
    for name in "abc":
        bench.deliver(name)
    await settled()
    assert bench.attempts.started == ["a", "b"]
    bench.attempts.end("a")
    await settled()
    assert bench.attempts.started == ["a", "b", "c"]
    assert bench.tracker.take_committable() == 1
    bench.attempts.end("c")
    bench.attempts.end("b")
    await settled()
    assert bench.all_is_done


async def test_tasks_of_an_unknown_mix_wait_until_the_log_was_read_and_share_the_question(
    bench: Bench,
) -> None:
    for name in "abc":
        bench.deliver(name, mix_id="new")
    bench.deliver("d", mix_id="ended")
    bench.plans.log = {"new": {"a", "b"}}
    await settled()
    assert bench.attempts.started == []
    bench.plans.may_catch_up.set()
    await settled()
    assert bench.attempts.started == ["a", "b"]
    assert bench.plans.questions == 1
    for name in "ab":
        bench.attempts.end(name)
    await settled()
    # The plan lacks c, and d is of a mix that has ended: done without an attempt.
    assert bench.all_is_done
    assert bench.attempts.started == ["a", "b"]


async def test_a_task_that_comes_while_the_question_is_open_gets_one_of_its_own(bench: Bench) -> None:
    bench.deliver("a", mix_id="new")
    await settled()
    bench.deliver("b", mix_id="newer")
    await settled()
    bench.plans.log = {"new": set(), "newer": set()}
    bench.plans.may_catch_up.set()
    await settled()
    assert bench.plans.questions == 2
    assert bench.attempts.started == ["a", "b"]


async def test_what_its_mix_wants_no_more_is_dropped_waiting_and_running(bench: Bench) -> None:
    for name in "abc":
        bench.deliver(name)
    bench.deliver("x", mix_id="m2")
    await settled()
    assert set(bench.attempts.running) == {"a", "x"}
    bench.plans.known["m1"] = {"c"}
    with capture_logs() as lines:
        bench.cutter.mix_changed("m1")
    await settled()
    assert [line["tasks"] for line in lines] == [2]
    assert set(bench.attempts.running) == {"x", "c"}
    del bench.plans.known["m1"]
    bench.cutter.mix_changed("m1")
    await settled()
    assert set(bench.attempts.running) == {"x"}
    assert bench.tracker.take_committable() == 3
    bench.attempts.end("x")
    await settled()
    assert bench.all_is_done


async def test_a_task_that_is_dropped_before_its_first_step_leaves_its_slot(bench: Bench) -> None:
    def end_the_mix() -> None:
        bench.plans.known.pop("m1", None)
        bench.cutter.mix_changed("m1")

    # The scheduler asks for the config right before it makes tasks: this runs before their first steps.
    bench.when_it_looks = partial(asyncio.get_running_loop().call_soon, end_the_mix)
    bench.deliver("a")
    bench.deliver("b")
    await settled()
    assert bench.attempts.started == []
    assert bench.all_is_done
    for name in "xyz":
        bench.deliver(name, mix_id="m2")
    await settled()
    assert set(bench.attempts.running) == {"x", "y"}


async def test_a_task_that_is_asked_for_again_while_its_cut_is_being_killed_is_cut(bench: Bench) -> None:
    bench.deliver("a")
    await settled()
    bench.plans.known["m1"] = {"other"}
    bench.cutter.mix_changed("m1")
    bench.plans.known["m1"] = {"a"}
    again = bench.deliver("a")
    await settled()
    assert bench.attempts.started == ["a", "a"]
    assert bench.tracker.head == again
    bench.attempts.end("a")
    await settled()
    assert bench.all_is_done


async def test_a_task_that_is_delivered_again_is_done_once_for_all(bench: Bench) -> None:
    bench.deliver("a")
    await settled()
    bench.deliver("a")
    bench.deliver("b", mix_id="m2")
    bench.deliver("c", mix_id="m2")
    bench.deliver("c", mix_id="m2")
    await settled()
    for name in ("a", "b"):
        bench.attempts.end(name)
    await settled()
    bench.attempts.end("c")
    await settled()
    assert bench.attempts.started == ["a", "b", "c"]
    assert bench.all_is_done


async def test_a_later_revision_of_a_waiting_task_takes_its_place(bench: Bench) -> None:
    for name in "abcd":
        bench.deliver(name)
    await settled()
    bench.deliver("d", revision=2, priority=9)
    bench.attempts.end("a")
    await settled()
    assert bench.attempts.started == ["a", "b", "d"]
    for name in ("b", "d"):
        bench.attempts.end(name)
    await settled()
    bench.attempts.end("c")
    await settled()
    assert bench.all_is_done


async def test_a_full_disk_stops_all_but_a_probe_and_says_so_once(bench: Bench) -> None:
    names = [f"t{number}" for number in range(100)]
    full = OwnFaultError("no space left")
    bench.attempts.ends = dict.fromkeys(names, full)
    with capture_logs() as lines:
        for name in names:
            bench.deliver(name)
        await settled()
        begun = len(bench.attempts.started)
        assert begun <= SLOTS
        for probes in range(1, 4):
            await bench.pass_time(PROBE_EVERY_MS - 1)
            await bench.pass_time(1)
            assert len(bench.attempts.started) == begun + probes
        assert len(set(bench.attempts.started)) == begun + 3, "every probe is another task"
        assert said(lines, "render_worker.paused", "render_worker.resumed") == ["render_worker.paused"]

        bench.attempts.ends = dict.fromkeys(names)
        for _ in range(50):
            await bench.pass_time(PUT_BACK_MS)
        assert bench.all_is_done
    assert said(lines, "render_worker.paused", "render_worker.resumed") == [
        "render_worker.paused",
        "render_worker.resumed",
    ]


async def test_a_task_that_always_fails_by_our_fault_stops_the_others_less_and_less(bench: Bench) -> None:
    bench.attempts.ends = {"bad": OwnFaultError("its placeholder cannot be made")}
    with capture_logs() as lines:
        bench.deliver("bad", priority=9)
        for second in range(600):
            name = f"t{second}"
            bench.attempts.ends[name] = None
            bench.deliver(name)
            await bench.pass_time(1_000)
    assert len(said(lines, "render_worker.paused")) < 15
    assert len(set(bench.attempts.started)) > 590


async def test_a_crash_costs_its_own_task_a_wait_and_the_others_nothing(bench: Bench) -> None:
    bench.attempts.ends = {"bad": ValueError("a bug"), "good": None, "fine": None}
    with capture_logs() as lines:
        bad = bench.deliver("bad")
        bench.deliver("good")
        bench.deliver("fine")
        await settled()
    assert bench.attempts.started == ["bad", "good", "fine"]
    assert said(lines, "render_worker.paused") == []
    assert [line["clip_task_id"] for line in lines if line["event"] == "render_worker.attempt_crashed"] == [
        "bad"
    ]
    assert bench.tracker.head == bad
    bench.attempts.ends["bad"] = None
    await bench.pass_time(PUT_BACK_MS)
    assert bench.all_is_done


async def test_an_overdue_task_goes_first_even_where_its_video_is_full(bench: Bench) -> None:
    bench.deliver("a", video="v")
    bench.deliver("b", video="w", priority=9)
    bench.deliver("c", video="w", priority=9)
    bench.deliver("late", video="v", deadline_at_ms=bench.now_ms + 500)
    await settled()
    assert set(bench.attempts.running) == {"a", "b"}
    await bench.pass_time(500)
    bench.attempts.end("b")
    await settled()
    assert set(bench.attempts.running) == {"a", "late"}


async def test_a_revocation_lets_running_tasks_end_and_forgets_the_others(bench: Bench) -> None:
    for name in "abc":
        bench.deliver(name)
    bench.deliver("n", mix_id="new")
    await settled()
    with capture_logs() as lines:
        revoking = asyncio.create_task(bench.cutter.revoke(frozenset({PARTITION})))
        await settled()
        bench.attempts.end("a")
        await asyncio.wait_for(revoking, 10)
    assert lines == [], "b was stopped on purpose"
    assert bench.attempts.running == {}
    assert bench.attempts.started == ["a", "b"]
    assert bench.tracker.take_committable() == 1
    # Handed out again, they are new: nothing of the first time is left.
    bench.deliver("b")
    bench.deliver("c")
    await settled()
    assert bench.attempts.started == ["a", "b", "b", "c"]


async def test_it_wakes_by_itself_when_a_task_is_due_or_a_probe_may_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a real clock, and with nobody to wake it."""
    monkeypatch.setattr(pause, "PROBE_EVERY_MS", 20)
    monkeypatch.setattr(service, "PUT_BACK_MS", 40)
    async with at_work(Bench(now_ms)) as bench:
        bench.attempts.ends = {"later": None, "sick": OwnFaultError("no space left")}
        bench.deliver("later", not_before_ms=now_ms() + 30)
        bench.deliver("sick")
        async with asyncio.timeout(10):
            while bench.attempts.started.count("sick") < 3:  # noqa: ASYNC110 - a clock is waited for
                await asyncio.sleep(0.005)
            bench.attempts.ends["sick"] = None
            while not bench.all_is_done:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.005)
    assert bench.attempts.started.count("later") == 1


async def test_the_watchdog_sees_work_that_moves_and_none_while_there_is_none(bench: Bench) -> None:
    assert bench.cutter.movement() is None
    bench.deliver("a")
    waiting = bench.cutter.movement()
    assert waiting is not None
    assert waiting.quiet_s == 0, "nothing runs that may take its time"
    await settled()
    running = bench.cutter.movement()
    assert running is not None
    assert running.signs != waiting.signs
    assert running.quiet_s * 1000 == RenderClipConfig().clip_timeout_ms
    bench.attempts.end("a")
    await settled()
    assert bench.cutter.movement() is None


async def test_what_waits_on_purpose_is_nothing_to_watch(bench: Bench) -> None:
    bench.deliver("later", not_before_ms=bench.now_ms + 5000)
    await settled()
    assert bench.cutter.movement() is None, "a retry's wait"
    await bench.pass_time(5000)
    assert bench.cutter.movement() is not None
    bench.attempts.end("later", OwnFaultError("the disk is full"))
    bench.deliver("behind it")
    await settled()
    assert bench.cutter.movement() is None, "a full disk"
    bench.attempts.ends |= {"later": None, "behind it": None}
    await bench.pass_time(PROBE_EVERY_MS)
    await bench.pass_time(PUT_BACK_MS)
    assert bench.all_is_done
