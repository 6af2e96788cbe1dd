import re

import pytest

from stream_app.cli.progress import as_time, showing_progress
from stream_app.cli.story import Progress
from stream_app.domain.mix import Mix
from tests.unit.domain.events import accepted, completed, placeholder


@pytest.mark.parametrize(
    ("duration_ms", "shown"),
    [(None, "-"), (0, "0:00:00"), (1_499, "0:00:01"), (59_500, "0:01:00"), (3_723_000, "1:02:03")],
)
def test_times(duration_ms: int | None, shown: str) -> None:
    assert as_time(duration_ms) == shown


def test_progress_is_told_line_by_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    mix = Mix()
    with showing_progress("m1", None) as show:
        show(Progress.of(mix, 0))
        mix.apply(accepted("a", "b"))
        mix.apply(completed("a", at_ms=1_000))
        mix.apply(placeholder("b").model_copy(update={"at_ms": 61_000}))
        show(Progress.of(mix, 61_000))
    first, last = capsys.readouterr().err.splitlines()
    assert first == "m1: 0/? clips, 0 placeholders, - elapsed, ETA -"
    assert last == "m1: 2/2 clips, 1 placeholders, 0:01:01 elapsed, joining"


def test_a_mix_in_work() -> None:
    mix = Mix()
    mix.apply(accepted("a", "b", "c"))
    mix.apply(completed("a", at_ms=2_000))
    progress = Progress.of(mix, 4_000)
    assert (progress.total, progress.done, progress.placeholders) == (3, 1, 0)
    assert (progress.elapsed_ms, progress.remaining_ms) == (4_000, 8_000)
    assert Progress.of(mix, -5_000).elapsed_ms == 0
    assert re.fullmatch(r"\d:\d\d:\d\d", as_time(progress.remaining_ms))
