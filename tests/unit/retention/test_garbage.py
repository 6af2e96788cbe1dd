"""Whatever the store and the history are: what is needed is never removed, the rest goes in the end."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.clip.store import ClipStore
from stream_app.domain.mix import Mix
from stream_app.domain.retention import DAY_MS, LogUse
from stream_app.domain.roll_up import roll_up
from stream_app.retention.garbage import Found, Garbage
from stream_app.settings import Settings
from tests.unit.domain.events import COMMON, accepted, completed, placeholder, rendered
from topics.events import AnyMixEvent, MixCancelled

KEEP_DAYS = 30
NOW_MS = 2_000 * DAY_MS
MIXES, CLIPS = 2, 3
CONTENT = [f"clip {number}".encode() for number in range(CLIPS)]
DIGESTS = [sha256(content).hexdigest() for content in CONTENT]


@dataclass
class World:
    """Artifacts on a disk, and the history that made them. Days count backwards from now."""

    root: Path
    keep_videos_days: float | None = None
    events: list[AnyMixEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = Settings(
            _env_file=None,
            artifacts_dir=self.root,
            keep_clips_days=KEEP_DAYS,
            keep_videos_days=self.keep_videos_days,
        )
        self.store = ClipStore(self.settings.clips_dir)

    def put(self, number: int, days_ago: float) -> None:
        draft = self.store.temporary()
        draft.write_bytes(CONTENT[number])
        clip = self.store.put(draft)
        self.store.remember(f"recipe-{number}", clip, {})
        for path in (clip.path, self.recipe(number)):
            age(path, days_ago)

    def clip(self, number: int) -> Path:
        return self.settings.clips_dir / f"{DIGESTS[number]}.mp4"

    def recipe(self, number: int) -> Path:
        return self.settings.clips_dir / "recipes" / f"recipe-{number}.json"

    def video(self, mix: int, revision: int, days_ago: float) -> Path:
        folder = self.settings.mixes_dir / f"m{mix}" / f"r{revision}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("video.mp4", "manifest.json"):
            (folder / name).write_bytes(b"0123456789")
            age(folder / name, days_ago)
        return folder / "video.mp4"

    def job_dir(self, mix: int, number: int, days_ago: float) -> Path:
        folder = self.settings.render_tmp_dir / f"job_m{mix}"
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / "clip_0.mp4"
        if self.clip(number).exists() and not link.exists():
            os.link(self.clip(number), link)
        age(folder, days_ago)
        return folder

    def log(self, mix: int, event: Any, days_ago: float) -> None:
        at_ms = NOW_MS - round(days_ago * DAY_MS)
        self.events.append(event.model_copy(update={"mix_id": f"m{mix}", "at_ms": at_ms}))

    def use(self) -> LogUse:
        use = LogUse()
        for event in self.events:
            use.apply(event)
        return use

    def garbage(self) -> Garbage:
        return Garbage(self.settings, self.use(), NOW_MS)

    def collect(self) -> list[Found]:
        garbage = self.garbage()
        return [found for found in garbage.find() if garbage.remove(found)]


def age(path: Path, days_ago: float) -> None:
    moment_ns = (NOW_MS - round(days_ago * DAY_MS)) * 1_000_000
    os.utime(path, ns=(moment_ns, moment_ns))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def tell_mix(world: World, mix: int, clips: list[int], *, ended: float | None) -> None:
    """A mix whose lines show these clips, begun 900 days ago."""
    tasks = [f"t{mix}-{position}" for position in range(len(clips))]
    world.log(mix, accepted(*tasks), 900)
    for task, number in zip(tasks, clips, strict=True):
        world.log(mix, completed(task, sha256=DIGESTS[number]), 900)
    if ended is not None:
        world.log(mix, rendered(roll_up([], [])), ended)


def test_a_clip_that_no_mix_needs_goes_with_its_recipe_when_it_was_not_used_for_so_long(world: World) -> None:
    world.put(0, days_ago=KEEP_DAYS + 1)
    world.put(1, days_ago=KEEP_DAYS - 1)
    assert {(each.kind, each.path) for each in world.collect()} == {
        ("clip", world.clip(0)),
        ("recipe", world.recipe(0)),
    }
    assert not world.clip(0).exists()
    assert world.store.recall("recipe-0") is None
    assert world.store.recall("recipe-1") is not None


@pytest.mark.parametrize(
    ("ended", "is_kept"), [(None, True), (KEEP_DAYS - 1, True), (KEEP_DAYS + 1, False)], ids=str
)
def test_a_mix_keeps_its_clips_until_it_is_long_over(
    world: World, ended: float | None, *, is_kept: bool
) -> None:
    world.put(0, days_ago=900)
    tell_mix(world, 0, [0], ended=ended)
    world.collect()
    assert world.clip(0).exists() is is_kept


def test_a_revision_makes_a_mix_need_its_old_clips_again(world: World) -> None:
    world.put(0, days_ago=900)
    tell_mix(world, 0, [0], ended=800)
    world.log(0, accepted("t0-0", revision=2), 0)
    # The end of the first one, written again by a worker that stood still.
    world.log(0, rendered(roll_up([], [])), 0)
    assert world.collect() == []


def test_what_cannot_be_read_may_be_about_anything_that_it_names(world: World) -> None:
    for number in (0, 1, 2):
        world.put(number, days_ago=900)
    tell_mix(world, 0, [0], ended=800)
    use = world.use()
    newer = json.dumps({"type": "of a newer version", "sha256": DIGESTS[1]}).encode()
    use.apply_unreadable(b"m0", newer)
    garbage = Garbage(world.settings, use, NOW_MS)
    assert [found.path for found in garbage.find() if found.kind == "clip"] == [world.clip(2)]


def test_a_clip_that_is_recalled_while_it_is_about_to_go_stays(world: World) -> None:
    world.put(0, days_ago=900)
    garbage = world.garbage()
    found = list(garbage.find())
    assert [each.kind for each in found] == ["clip", "recipe"]
    assert world.store.recall("recipe-0") is not None
    assert [garbage.remove(each) for each in found] == [False, False]
    assert world.store.recall("recipe-0") is not None


def test_a_clip_that_is_made_again_while_it_is_about_to_go_stays(world: World) -> None:
    world.put(0, days_ago=900)
    garbage = world.garbage()
    (found,) = (each for each in garbage.find() if each.kind == "clip")
    world.put(0, days_ago=0)
    assert not garbage.remove(found)
    assert world.clip(0).exists()


def test_a_mix_in_work_keeps_what_it_shows_even_when_this_log_does_not_know_it(world: World) -> None:
    world.put(0, days_ago=900)
    folder = world.job_dir(0, 0, days_ago=1)
    assert world.collect() == []
    age(folder, KEEP_DAYS + 1)
    assert {found.kind for found in world.collect()} == {"render_tmp", "clip", "recipe"}
    assert not folder.exists()


def test_a_mix_that_has_ended_has_nothing_in_render_tmp(world: World) -> None:
    world.put(0, days_ago=0)
    folder = world.job_dir(0, 0, days_ago=1)
    tell_mix(world, 0, [0], ended=None)
    assert world.collect() == []
    world.log(0, rendered(roll_up([], [])), 1)
    assert [(each.kind, each.bytes) for each in world.collect()] == [("render_tmp", 0)]
    assert not folder.exists()
    assert world.clip(0).exists()


def test_videos_stay_for_ever_unless_it_is_set_otherwise(tmp_path: Path) -> None:
    for keep, is_kept in [(None, True), (800, False), (1000, True)]:
        world = World(tmp_path / str(keep), keep)
        video = world.video(0, 1, days_ago=900)
        of_no_log = world.video(9, 1, days_ago=900)
        tell_mix(world, 0, [], ended=900)
        world.collect()
        assert video.exists() is is_kept
        assert video.parent.exists() is is_kept
        assert of_no_log.exists()


def test_a_mix_in_work_keeps_its_older_videos(tmp_path: Path) -> None:
    world = World(tmp_path, 1)
    video = world.video(0, 1, days_ago=900)
    tell_mix(world, 0, [], ended=900)
    world.log(0, accepted(revision=2), 5)
    assert world.collect() == []
    world.log(0, MixCancelled(**COMMON, revision=2, reason="r", message="m"), 4)
    assert [each.path for each in world.collect()] == [video.parent]


def test_leftovers_and_files_put_aside_go(world: World) -> None:
    aside = world.settings.projection_path.with_name("private.duckdb.aside")
    aside.parent.mkdir()
    aside.write_bytes(b"damaged")
    age(aside, KEEP_DAYS - 1)
    draft = world.store.temporary()
    draft.write_bytes(b"half")
    joining = world.settings.mixes_dir / "m0" / "r1" / ".joining-abc"
    joining.mkdir(parents=True)
    (joining / "joined.mp4").write_bytes(b"half a video")
    age(joining, 0.01)
    assert world.collect() == []
    age(aside, KEEP_DAYS + 1)
    age(draft, 1)
    age(joining, 1)
    assert {(each.kind, each.bytes) for each in world.collect()} == {
        ("aside", 7),
        ("temporary", 4),
        ("temporary", 12),
    }
    assert not aside.exists()
    assert not draft.exists()
    assert not joining.exists()


def test_looking_changes_nothing(world: World) -> None:
    world.put(0, days_ago=900)
    world.job_dir(0, 0, days_ago=900)
    before = sorted(world.root.rglob("*"))
    found = list(world.garbage().find())
    assert found == list(world.garbage().find())
    assert sorted(world.root.rglob("*")) == before


# Few moments, on both sides of each limit: so most histories have something that is nearly lost.
DAYS = st.sampled_from([1, 5, 15, 29, 31, 59, 61, 100])
NUMBERS = st.integers(0, CLIPS - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.integers(0, MIXES - 1), st.lists(NUMBERS, max_size=3)),
        st.tuples(st.just("clip"), st.integers(0, MIXES - 1), NUMBERS),
        st.tuples(st.just("end"), st.integers(0, MIXES - 1), st.booleans()),
    ),
    min_size=4,
    max_size=12,
)


@contextmanager
def temporary_world(keep_videos_days: float | None) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        yield World(Path(folder), keep_videos_days)


@settings(max_examples=400, deadline=None)
@given(
    steps=STEPS,
    ages=st.lists(DAYS, min_size=CLIPS, max_size=CLIPS),
    times=st.lists(DAYS, min_size=12, max_size=12),
    links=st.lists(st.tuples(st.integers(0, MIXES), NUMBERS, DAYS), max_size=3),
    keep_videos=st.sampled_from([None, 10.0, 60.0]),
)
def test_nothing_that_is_needed_is_ever_removed(
    steps: list[Any],
    ages: list[float],
    times: list[float],
    links: list[tuple[int, int, float]],
    keep_videos: float | None,
) -> None:
    """Judged by the fold of the product's own mixes, not by what the collector itself keeps of the log."""
    with temporary_world(keep_videos) as world:
        moments = iter(sorted(times, reverse=True))
        mixes = [Mix() for _ in range(MIXES)]
        for step in steps:
            _take(world, mixes, step, next(moments))
        for number, days in enumerate(ages):
            world.put(number, days)
        for mix, number, days in links:
            world.job_dir(mix, number, days)
        videos = list(_videos_to_keep(world, mixes, keep_videos))
        world.collect()
        for mix in mixes:
            if mix.accepted and (mix.end is None or NOW_MS - mix.end.at_ms < KEEP_DAYS * DAY_MS):
                for outcome in mix.effective_outcomes:
                    assert world.clip(DIGESTS.index(outcome.sha256)).exists()
        for number, days in enumerate(ages):
            if days < KEEP_DAYS:
                assert world.clip(number).exists()
                assert world.recipe(number).exists()
        for video in videos:
            assert video.exists()


def _take(world: World, mixes: list[Mix], told: tuple[str, int, Any], days_ago: float) -> None:
    step, mix, what = told
    state = mixes[mix]
    revision = state.accepted.revision if state.accepted else 0
    if step == "accept":
        event: Any = accepted(*(f"t{mix}-{number}" for number in dict.fromkeys(what)), revision=revision + 1)
    elif step == "clip":
        make = completed if what % 2 else placeholder
        event = make(f"t{mix}-{what}").model_copy(update={"sha256": DIGESTS[what]})
    elif revision == 0:
        return
    else:
        event = rendered(roll_up([], []), revision=revision if what else max(1, revision - 1))
        world.video(mix, event.revision, days_ago)
    world.log(mix, event, days_ago)
    state.apply(world.events[-1])


def _videos_to_keep(world: World, mixes: list[Mix], keep_days: float | None) -> Iterator[Path]:
    """The video of every mix that SQL and the API offer, and all that are young enough."""
    for number, mix in enumerate(mixes):
        folder = world.settings.mixes_dir / f"m{number}"
        if keep_days is None or (mix.accepted and mix.end is None):
            yield from folder.glob("r*/video.mp4")
        elif mix.end is not None and NOW_MS - mix.end.at_ms < keep_days * DAY_MS:
            yield from folder.glob(f"r{mix.end.revision}/video.mp4")
