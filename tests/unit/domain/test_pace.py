import pytest

from stream_app.domain.mix import Mix
from stream_app.domain.pace import RECENT, remaining_ms, remaining_of
from tests.unit.domain.events import accepted, completed, placeholder


@pytest.mark.parametrize(
    ("done_at_ms", "began_ms", "left", "now_ms", "expected"),
    [
        ([], 0, 10, 5_000, None),
        ([1_000], 0, 10, 1_000, 10_000),
        ([1_000, 2_000, 3_000, 4_000], 0, 6, 4_000, 6_000),
        ([4_000, 1_000, 3_000, 2_000], 0, 6, 4_000, 6_000),
        # Four at a time: what counts is how many come in how much time.
        ([2_000] * 4 + [4_000] * 4, 0, 4, 4_000, 2_000),
        # While nothing comes it takes longer.
        ([1_000, 2_000], 0, 2, 10_000, 10_000),
        # A clock that is behind the workers' makes nothing quicker than it was.
        ([1_000, 2_000], 0, 2, 0, 2_000),
        ([1_000, 2_000], 0, 0, 9_000, 0),
        # Lines that an earlier revision made say nothing of this one's.
        ([1_000, 2_000, 3_000], 100_000, 4, 110_000, None),
        ([1_000, 2_000, 102_000], 100_000, 4, 102_000, 8_000),
    ],
)
def test_the_mean_pace_of_the_lines_done(
    done_at_ms: list[int], began_ms: int, left: int, now_ms: int, expected: int | None
) -> None:
    assert remaining_ms(done_at_ms, began_ms=began_ms, left=left, now_ms=now_ms) == expected


def test_a_time_without_workers_is_forgotten_after_some_lines() -> None:
    hour = 3_600_000
    before = [1_000 * n for n in range(1, 11)]
    after = [hour + 1_000 * n for n in range(RECENT + 1)]
    slow = remaining_ms([*before, after[0]], began_ms=0, left=10, now_ms=after[0])
    assert slow is not None
    assert slow > hour // 2
    assert remaining_ms([*before, *after], began_ms=0, left=10, now_ms=after[-1]) == 10_000


def test_of_a_mix() -> None:
    mix = Mix()
    assert remaining_of(mix, 0) is None
    mix.apply(accepted("a", "b", "c", "d"))
    assert remaining_of(mix, 1_000) is None
    mix.apply(completed("a", at_ms=1_000))
    mix.apply(placeholder("b").model_copy(update={"at_ms": 2_000}))
    assert remaining_of(mix, 3_000) == 3_000
    mix.apply(completed("c", at_ms=4_000))
    mix.apply(completed("d", at_ms=4_000))
    assert remaining_of(mix, 9_000) == 0
