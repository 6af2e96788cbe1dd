"""What the assembler makes of the log, wherever it begins to read and whenever it loses its partitions."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.assembly.job_dir import JobDirs
from stream_app.assembly.service import Assembler
from stream_app.domain.mix import Mix
from stream_app.domain.roll_up import roll_up
from stream_app.kafka.group_reader import Delivery
from stream_app.kafka.record import Record
from stream_app.kafka.tracker import OffsetTracker
from tests.unit.domain.events import COMMON, accepted, completed, placeholder, rendered
from topics.codec import encode
from topics.events import AnyMixEvent, MixAccepted, MixCancelled, MixFailed
from topics.ids import RecordRef
from topics.reasons import MixFailure

PARTITION = TopicPartition("mix-events", 0)


@dataclass
class Kitchen:
    """A log in memory, and the assembler as Kafka, the cutting and the joining see it."""

    folder: Path
    log: list[AnyMixEvent] = field(default_factory=list)
    joined: list[tuple[int, list[str]]] = field(default_factory=list)
    recalled: list[tuple[str, int, int]] = field(default_factory=list)
    committed: int = 0
    prepared: list[int] = field(default_factory=list)
    songs_may_end: asyncio.Event = field(default_factory=asyncio.Event)
    joins_may_end: asyncio.Event = field(default_factory=asyncio.Event)
    recalls_may_end: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.songs_may_end.set()
        self.joins_may_end.set()
        self.recalls_may_end.set()
        self.start()

    def start(self) -> None:
        """Another process takes over where the last one has committed."""
        job_dirs = JobDirs(self.folder / "render_tmp", keep=False)
        self.assembler = Assembler(self, self, job_dirs, self.recall)  # type: ignore[arg-type]
        self.assign()

    def assign(self) -> None:
        self.tracker = OffsetTracker()
        self.position = self.committed

    async def lose(self) -> None:
        await self.assembler.revoke(frozenset({PARTITION}))
        self.commit()

    def commit(self) -> None:
        self.committed = self.tracker.take_committable() or self.committed

    async def prepare(self, plan: MixAccepted) -> None:
        await self.songs_may_end.wait()
        self.prepared.append(plan.revision)

    async def join(self, mix: Mix, _: RecordRef) -> Any:
        plan = mix.accepted
        assert plan is not None
        assert mix.is_ready
        joined = [outcome.sha256 for outcome in mix.effective_outcomes]
        await self.joins_may_end.wait()
        self.joined.append((plan.revision, joined))
        return rendered(roll_up((), ()), plan.revision).model_copy(update={"mix_id": plan.mix_id})

    async def send_event(self, event: AnyMixEvent) -> None:
        await asyncio.sleep(0)
        self.log.append(event)

    async def recall(self, mix_id: str, start: int, end: int) -> Mix:
        self.recalled.append((mix_id, start, end))
        await self.recalls_may_end.wait()
        mix = Mix()
        for event in self.log[start:end]:
            await asyncio.sleep(0)
            if event.mix_id == mix_id:
                mix.apply(event)
        return mix

    def tell(self, *events: AnyMixEvent) -> None:
        self.log += events

    def deliver(self) -> bool:
        if self.position == len(self.log):
            return False
        event = self.log[self.position]
        ref = RecordRef(*PARTITION, self.position)
        self.position += 1
        assert self.tracker.deliver(ref.offset)
        record = Record(ref, 0, event.mix_id.encode(), encode(event), [])
        self.assembler.deliver(Delivery(record, self.tracker))
        return True

    async def settle(self) -> None:
        """Deliver what there is, until nothing more comes of it."""
        idle = 0
        while idle < 50:
            idle = 0 if self.deliver() else idle + 1
            await asyncio.sleep(0)
        self.commit()

    @property
    def mix(self) -> Mix:
        mix = Mix()
        for event in self.log:
            if event.mix_id == "m1":
                mix.apply(event)
        return mix


@pytest.fixture
async def kitchen(tmp_path: Path) -> AsyncIterator[Kitchen]:
    kitchen = Kitchen(tmp_path)
    yield kitchen
    await kitchen.lose()


def sha(letter: str) -> str:
    return letter * 64


def plan(*tasks: str, revision: int = 1, start: int | None = 0) -> AnyMixEvent:
    return accepted(*tasks, revision=revision).model_copy(update={"log_start": start})


FIRST = (plan("a", "b"), completed("a", sha256=sha("a")), completed("b", sha256=sha("b")))


async def test_who_wakes_from_a_freeze_leaves_no_folder_of_what_others_have_ended(kitchen: Kitchen) -> None:
    kitchen.tell(plan("a", "b"), completed("a", sha256=sha("a")))
    await kitchen.settle()
    folder = kitchen.folder / "render_tmp" / "job_m1"
    assert folder.exists()

    await kitchen.lose()

    assert not folder.exists()


async def test_a_revision_of_an_ended_mix_uses_what_the_log_tells_of_it(kitchen: Kitchen) -> None:
    kitchen.tell(*FIRST)
    await kitchen.settle()
    assert kitchen.committed == len(kitchen.log) == 4
    kitchen.start()
    kitchen.tell(plan("a", "c", revision=2), completed("c", sha256=sha("c")))
    await kitchen.settle()
    assert kitchen.joined == [(1, [sha("a"), sha("b")]), (2, [sha("a"), sha("c")])]
    assert kitchen.recalled == [("m1", 0, 4)]
    assert kitchen.committed == len(kitchen.log)


async def test_a_mix_is_never_joined_before_its_earlier_events_are_known(kitchen: Kitchen) -> None:
    kitchen.tell(plan("a"), placeholder("a"), completed("a", sha256=sha("f")))
    await kitchen.settle()
    kitchen.recalls_may_end.clear()
    kitchen.tell(plan("a", "b", revision=2), completed("b"), completed("a", sha256=sha("e")))
    await kitchen.settle()
    assert [revision for revision, _ in kitchen.joined] == [1]
    kitchen.recalls_may_end.set()
    await kitchen.settle()
    assert kitchen.joined[1] == (2, [placeholder("a").sha256, completed("b").sha256])


async def test_other_mixes_go_on_while_one_is_read_from_the_log(kitchen: Kitchen) -> None:
    kitchen.tell(*FIRST)
    await kitchen.settle()
    kitchen.recalls_may_end.clear()
    other = [event.model_copy(update={"mix_id": "m2"}) for event in FIRST]
    kitchen.tell(plan("a", "b", "c", revision=2), *other)
    await kitchen.settle()
    assert [event.mix_id for event in kitchen.log if event.type == "mix-rendered"] == ["m1", "m2"]


async def test_a_revision_in_the_middle_of_a_join_starts_it_over(kitchen: Kitchen) -> None:
    kitchen.joins_may_end.clear()
    kitchen.tell(*FIRST)
    await kitchen.settle()
    kitchen.tell(plan("b", revision=2))
    await kitchen.settle()
    kitchen.joins_may_end.set()
    await kitchen.settle()
    assert kitchen.joined == [(2, [sha("b")])]
    assert kitchen.mix.end is not None
    assert kitchen.committed == len(kitchen.log)


async def test_a_late_end_of_an_older_revision_ends_nothing(kitchen: Kitchen) -> None:
    kitchen.joins_may_end.clear()
    late = MixFailed(**COMMON, revision=1, reason=MixFailure.SONG_INVALID, message="")
    kitchen.tell(*FIRST, plan("a", "b", revision=2), late, rendered(roll_up((), ()), 1))
    await kitchen.settle()
    assert kitchen.committed == 0
    kitchen.joins_may_end.set()
    await kitchen.settle()
    assert kitchen.joined == [(2, [sha("a"), sha("b")])]


async def test_a_failed_and_a_cancelled_mix_can_be_revised(kitchen: Kitchen) -> None:
    cancelled = MixCancelled(**COMMON, revision=1, reason="requested", message="")
    kitchen.tell(plan("a", "b"), completed("a"), cancelled)
    await kitchen.settle()
    kitchen.tell(plan("a", revision=2))
    await kitchen.settle()
    assert [revision for revision, _ in kitchen.joined] == [2]


async def test_a_plan_that_comes_again_after_its_end_is_not_waited_for(kitchen: Kitchen) -> None:
    kitchen.tell(*FIRST)
    await kitchen.settle()
    kitchen.tell(FIRST[0])
    await kitchen.settle()
    assert kitchen.committed == len(kitchen.log) == 5
    assert kitchen.recalled == []
    kitchen.tell(FIRST[0])
    kitchen.start()
    await kitchen.settle()
    assert kitchen.committed == len(kitchen.log) == 6
    assert len(kitchen.joined) == 1


async def test_a_new_mix_costs_no_reading(kitchen: Kitchen) -> None:
    kitchen.tell(*FIRST, plan("a", start=3).model_copy(update={"mix_id": "m2"}))
    await kitchen.settle()
    assert kitchen.recalled == []


async def test_links_follow_the_newest_plan(kitchen: Kitchen, tmp_path: Path) -> None:
    clips = {name: tmp_path / f"{name}.mp4" for name in "abcx"}
    for name, clip in clips.items():
        clip.write_text(name)
    made = {name: completed(name, uri=clip.as_uri()) for name, clip in clips.items()}

    def shown() -> dict[str, str]:
        return {link.name: link.read_text() for link in (tmp_path / "render_tmp/job_m1").iterdir()}

    kitchen.tell(plan("a", "b", "x"), made["a"], made["x"])
    await kitchen.settle()
    assert shown() == {"clip_0.mp4": "a", "clip_2.mp4": "x"}
    kitchen.tell(plan("c", "a", "b", revision=2), made["b"], made["x"])
    await kitchen.settle()
    assert shown() == {"clip_1.mp4": "a", "clip_2.mp4": "b"}
    kitchen.tell(made["c"])
    await kitchen.settle()
    assert not (tmp_path / "render_tmp/job_m1").exists()


tasks = st.sampled_from("abcd")
plans = st.lists(tasks, min_size=1, max_size=4, unique=True)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), plans),
        st.tuples(st.just("outcome"), tasks),
        st.tuples(st.sampled_from(["old end", "plan again", "settle"]), st.integers(0, 9)),
        st.tuples(st.sampled_from(["deliver", "tick", "lose", "crash"]), st.integers(1, 4)),
    ),
    max_size=30,
)


class Life:
    """A random life of one mix."""

    def __init__(self, kitchen: Kitchen) -> None:
        self.kitchen = kitchen
        self.plans: list[tuple[str, ...]] = []

    async def live(self, steps: list[tuple[str, Any]]) -> None:
        self.plan(["a", "b"])
        for what, detail in steps:
            step = getattr(self, what.replace(" ", "_"))(detail)
            if step is not None:
                await step
        for task in "abcd":
            self.outcome(task)
        await self.kitchen.settle()

    def plan(self, order: list[str]) -> None:
        self.plans.append(tuple(order))
        self.kitchen.tell(plan(*order, revision=len(self.plans)))

    def outcome(self, task: str) -> None:
        self.kitchen.tell(completed(task, sha256=f"{len(self.kitchen.log):064x}"))

    def old_end(self, number: int) -> None:
        if revision := number % len(self.plans):
            self.kitchen.tell(
                MixFailed(**COMMON, revision=revision, reason=MixFailure.JOIN_FAILED, message="")
            )

    def plan_again(self, number: int) -> None:
        revision = number % len(self.plans) + 1
        self.kitchen.tell(plan(*self.plans[revision - 1], revision=revision))

    async def settle(self, _: int) -> None:
        await self.kitchen.settle()

    async def deliver(self, number: int) -> None:
        for _ in range(number):
            self.kitchen.deliver()

    async def tick(self, number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)

    async def lose(self, _: int) -> None:
        await self.kitchen.lose()
        self.kitchen.assign()

    async def crash(self, _: int) -> None:
        await self.kitchen.assembler.revoke(frozenset({PARTITION}))
        self.kitchen.start()


@settings(max_examples=200, deadline=None)
@given(steps=happenings)
def test_every_newest_revision_is_joined_from_its_effective_outcomes(
    steps: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def lived() -> Kitchen:
        kitchen = Kitchen(tmp_path_factory.getbasetemp() / "assembler")
        await Life(kitchen).live(steps)
        return kitchen

    kitchen = asyncio.run(lived())
    mix = kitchen.mix
    assert mix.end is not None
    assert mix.end.type == "mix-rendered"
    assert kitchen.committed == len(kitchen.log), "a mix is held for ever"
    known: dict[int, list[str]] = {}
    for revision, joined in kitchen.joined:
        assert known.setdefault(revision, joined) == joined, "one revision was made of different clips"
    assert mix.accepted is not None
    assert known[mix.accepted.revision] == [outcome.sha256 for outcome in mix.effective_outcomes]


async def test_a_song_is_prepared_while_clips_are_cut_and_the_join_waits_for_it(kitchen: Kitchen) -> None:
    kitchen.songs_may_end.clear()
    kitchen.tell(FIRST[0])
    await kitchen.settle()
    kitchen.tell(*FIRST[1:])
    await kitchen.settle()
    assert (kitchen.prepared, kitchen.joined) == ([], [])
    kitchen.songs_may_end.set()
    await kitchen.settle()
    assert kitchen.prepared == [1]
    assert [revision for revision, _ in kitchen.joined] == [1]


async def test_the_song_of_a_plan_that_is_no_more_is_not_prepared_on(kitchen: Kitchen) -> None:
    kitchen.songs_may_end.clear()
    kitchen.tell(plan("a", "b"), plan("a", "c", revision=2))
    await kitchen.settle()
    kitchen.songs_may_end.set()
    await kitchen.settle()
    assert kitchen.prepared == [2]
