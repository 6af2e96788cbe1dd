from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.mix import Mix
from stream_app.domain.unfinished import UnfinishedMixes
from tests.unit.domain.events import COMMON, accepted, completed, rendered
from tests.unit.domain.test_attempts import first_task
from topics.events import AnyMixEvent, MixCancelled, MixFailed
from topics.reasons import MixFailure

STATS = Mix().stats()


def cancelled(revision: int | None = None) -> MixCancelled:
    return MixCancelled(**COMMON, revision=revision, reason="requested", message="m")


def failed(revision: int | None = None) -> MixFailed:
    return MixFailed(**COMMON, revision=revision, reason=MixFailure.JOIN_FAILED, message="m")


def told(*events: AnyMixEvent) -> UnfinishedMixes:
    mixes = UnfinishedMixes()
    for event in events:
        mixes.apply(event)
    return mixes


def wants(mixes: UnfinishedMixes, clip_task_id: str, **changes: Any) -> bool | None:
    return mixes.wants(first_task("v", clip_task_id=clip_task_id, **changes))


def test_a_task_of_the_plan_is_wanted_and_one_of_an_unknown_mix_undecided() -> None:
    mixes = told(accepted("a", "b"), completed("a"))
    assert wants(mixes, "a") is True
    assert wants(mixes, "a", mix_id="other") is None


def test_what_a_revision_left_out_is_no_longer_wanted() -> None:
    mixes = told(accepted("a", "b"))
    assert mixes.apply(accepted("b", "c", revision=2))
    assert (wants(mixes, "a"), wants(mixes, "b"), wants(mixes, "c")) == (False, True, True)


def test_a_task_of_a_revision_that_has_not_been_read_yet_is_undecided() -> None:
    assert wants(told(accepted("a")), "b", revision=2) is None


def test_nothing_is_kept_of_a_mix_that_has_ended() -> None:
    for end in (cancelled(), failed(), rendered(STATS)):
        mixes = told(accepted("a"))
        assert mixes.apply(end)
        assert (len(mixes), wants(mixes, "a")) == (0, None)
        assert not mixes.apply(end)


def test_a_late_end_of_an_older_revision_ends_nothing() -> None:
    mixes = told(accepted("a"), accepted("b", revision=2))
    assert not mixes.apply(rendered(STATS, revision=1))
    assert wants(mixes, "b") is True


@given(st.data())
def test_a_mix_is_unfinished_exactly_as_long_as_its_fold_says(data: st.DataObject) -> None:
    """Events in any order that revisions count up in, as intake writes them."""
    mixes, mix, revision = UnfinishedMixes(), Mix(), 0
    for kind in data.draw(st.lists(st.sampled_from(["accept", "render", "fail", "cancel", "clip"]))):
        event: AnyMixEvent
        about = data.draw(st.integers(1, revision or 1))
        match kind:
            case "accept":
                revision += 1
                event = accepted("a", f"only-{revision}", revision=revision)
            case "render":
                event = rendered(STATS, revision=about)
            case "fail":
                event = failed(data.draw(st.sampled_from([None, about])))
            case "cancel":
                event = cancelled(data.draw(st.sampled_from([None, about])))
            case _:
                event = completed("a")
        mixes.apply(event)
        mix.apply(event)
        is_open = mix.accepted is not None and mix.end is None
        assert wants(mixes, f"only-{revision}", revision=revision) == (True if is_open else None)
