"""Any order of requests, revisions, cancellations, redeliveries and late writers ends as it should."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.domain.intake import Asked, Decision, Moment, decide, needs_story
from stream_app.domain.known import KnownMix, noted
from stream_app.domain.mix import Mix
from stream_app.domain.roll_up import roll_up
from tests.unit.domain.events import COMMON, completed, rendered
from tests.unit.domain.requests import candidate, line, request
from topics.events import AnyMixEvent, MixAccepted, MixFailed
from topics.ids import RecordRef
from topics.reasons import MixFailure
from topics.tasks import ClipTask

MANY = settings(max_examples=300, deadline=None)
CANCEL = {"type": "mix-cancel", "mix_id": "m1"}
BODIES: dict[str, dict[str, Any]] = {
    "request": request(line(0, 1000, candidate("a")), line(1000, 2000, candidate("b"))),
    "other request": request(line(0, 1000, candidate("z"))),
    "cancel": CANCEL,
    "change 2": {"type": "mix-revise", "lines": [line(1000, 2000, candidate("c"), line_id="2")]},
    "change 2 back": {"type": "mix-revise", "lines": [line(1000, 2000, candidate("b"), line_id="2")]},
    "add 3": {"type": "mix-revise", "lines": [line(3000, 4000, line_id="3")]},
    "more urgent": {"type": "mix-revise", "priority": 9},
    "overlap": {"type": "mix-revise", "lines": [line(500, 1500, line_id="4")]},
    "nothing": {"type": "mix-revise"},
}


@dataclass
class World:
    """The log, the requests and the queue of one mix, with every process that writes to it."""

    log: list[AnyMixEvent] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    queue: list[ClipTask] = field(default_factory=list)
    position: int = 0
    late: list[Decision] = field(default_factory=list)
    late_ends: list[Any] = field(default_factory=list)

    def known(self) -> KnownMix | None:
        known = None
        for offset, event in enumerate(self.log):
            known = noted(known, event, offset)
        return known

    def mix(self) -> Mix:
        mix = Mix()
        for event in self.log:
            mix.apply(event)
        return mix

    def decide_next(self) -> Decision:
        """What an intake decides on the request at its position, from the log as it is now."""
        ref = RecordRef("mix-requests", 0, self.position)
        asked = Asked(BODIES[self.requests[self.position]], ref, self.position, "m1")
        known = self.known()
        story = None
        if known and needs_story(asked, known):
            story = Mix()
            for event in self.log[known.log_start : known.log_end]:
                story.apply(event)
        return decide(asked, known, story, Moment(0, len(self.log), 0))

    def ask(self, what: str) -> None:
        self.requests.append(what)

    def ask_and_take(self, what: str) -> None:
        self.ask(what)
        self.take_all()

    def redeliver(self, number: int) -> None:
        self.position = max(0, self.position - number)

    def intake(self) -> None:
        if self.position < len(self.requests):
            decision = self.decide_next()
            self.log += decision.events
            self.queue += decision.tasks
            self.position += 1

    def take_all(self) -> None:
        while self.position < len(self.requests):
            self.intake()

    def stand_still(self) -> None:
        """An intake has decided, and is thought dead by the others before it writes."""
        if self.position < len(self.requests):
            self.late.append(self.decide_next())

    def wake_up(self) -> None:
        """It writes after all, and only then learns that it is out; its tasks it may never send."""
        if self.late:
            self.log += self.late.pop(0).events

    def cut(self) -> None:
        """A cutter takes the next task, unless its mix has ended or no longer wants it."""
        if not self.queue:
            return
        task, mix = self.queue.pop(0), self.mix()
        assert mix.accepted is not None
        newer = task.revision > mix.accepted.revision
        if newer or (mix.end is None and mix.line_of(task.clip_task_id)):
            self.log.append(completed(task.clip_task_id))

    def cut_all(self) -> None:
        while self.queue:
            self.cut()

    def join(self) -> None:
        """The assembler joins what is ready; its word may come late."""
        plan = self.mix().accepted
        if plan and self.mix().is_ready:
            self.late_ends.append(rendered(roll_up((), ()), plan.revision))

    def make(self) -> None:
        self.take_all()
        self.cut_all()
        self.join()

    def fail(self) -> None:
        plan = self.mix().accepted
        if plan and self.mix().is_ready:
            why = MixFailure.SONG_INVALID
            self.late_ends.append(MixFailed(**COMMON, revision=plan.revision, reason=why, message=""))

    def end(self) -> None:
        if self.late_ends:
            self.log.append(self.late_ends.pop(0))

    def settle(self) -> None:
        """Let everybody do all that they have to do."""
        while self.late:
            self.wake_up()
        self.make()
        while self.late_ends:
            self.end()


ALONE = (World.intake, World.take_all, World.cut, World.cut_all, World.make, World.fail, World.end)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([World.ask, World.ask_and_take]), st.sampled_from(sorted(BODIES))),
        st.tuples(st.sampled_from([*ALONE, World.stand_still, World.wake_up])),
        st.tuples(st.just(World.redeliver), st.integers(1, 3)),
    ),
    max_size=30,
)


def lived(happenings: list[tuple[Any, ...]]) -> World:
    world = World(requests=["request"])
    for happen, *details in happenings:
        happen(world, *details)
    world.settle()
    return world


@MANY
@given(happenings=steps)
def test_no_two_plans_have_one_revision_number(happenings: list[tuple[Any, ...]]) -> None:
    plans = defaultdict(set)
    for event in lived(happenings).log:
        if isinstance(event, MixAccepted):
            plans[event.revision].add(
                (event.content_digest, event.lines, event.deadline_at_ms, event.event_id)
            )
    assert {len(versions) for versions in plans.values()} == {1}
    assert sorted(plans) == list(range(1, len(plans) + 1))


@MANY
@given(happenings=steps)
def test_the_newest_revision_always_ends_and_no_request_makes_two(happenings: list[tuple[Any, ...]]) -> None:
    world = lived(happenings)
    mix = world.mix()
    assert mix.end is not None, "a task was lost"
    causes = {event.caused_by: event.revision for event in world.log if isinstance(event, MixAccepted)}
    assert len(set(causes.values())) == len(causes)


@MANY
@given(happenings=steps)
def test_each_revision_has_one_effective_end_at_most(happenings: list[tuple[Any, ...]]) -> None:
    mix = Mix()
    ends = defaultdict(list)
    for event in lived(happenings).log:
        before = mix.end
        mix.apply(event)
        if mix.end is not None and mix.end is not before:
            assert mix.accepted is not None
            ends[mix.accepted.revision].append(mix.end)
    assert all(len(told) == 1 for told in ends.values())
    assert all(end.revision == revision for revision, (end,) in ends.items())


@MANY
@given(happenings=steps)
def test_what_intake_keeps_in_mind_agrees_with_the_fold(happenings: list[tuple[Any, ...]]) -> None:
    world = lived(happenings)
    known, mix = world.known(), world.mix()
    assert known is not None
    assert mix.accepted is not None
    assert (known.revision, known.content_digest) == (mix.accepted.revision, mix.accepted.content_digest)
    assert known.ended == (mix.end is not None)
    accepts = [offset for offset, event in enumerate(world.log) if isinstance(event, MixAccepted)]
    assert known.log_start <= accepts[0]
    assert known.log_end == len(world.log)
