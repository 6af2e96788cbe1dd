from pathlib import Path

import pytest
from pydantic import ValidationError

from stream_app.assembly.order import AssembleOrder, Part
from stream_app.assembly.outcome import Outcome
from stream_app.domain.errors import MixError, OwnFaultError
from topics.profile import RenderProfile
from topics.reasons import MixFailure


def test_an_order_survives_json() -> None:
    order = AssembleOrder(
        mix_id="demo-1",
        revision=2,
        profile=RenderProfile(),
        parts=(
            Part(kind="clip", frames=3, path=Path("a.mp4"), sha256="0" * 64),
            Part(kind="filler", frames=4),
        ),
        mixes_dir=Path("artifacts/mixes"),
        songs_dir=Path("songs"),
    )
    assert AssembleOrder.model_validate_json(order.model_dump_json()) == order
    assert order.out_dir == Path("artifacts/mixes/demo-1/r2")
    assert order.frames == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "clip", "frames": 1},
        {"kind": "clip", "frames": 1, "path": "a.mp4"},
        {"kind": "filler", "frames": 1, "path": "a.mp4", "sha256": "0" * 64},
        {"kind": "filler", "frames": 1, "path": "a.mp4"},
        {"kind": "filler", "frames": 0},
    ],
)
def test_a_part_has_a_file_or_is_black(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Part.model_validate(wrong)


def test_an_outcome_raises_what_was_met() -> None:
    with pytest.raises(MixError, match="no song") as failed:
        Outcome(failure=MixFailure.SONG_UNAVAILABLE, message="no song").result()
    assert failed.value.reason is MixFailure.SONG_UNAVAILABLE
    with pytest.raises(OwnFaultError, match="disk full"):
        Outcome(message="disk full").result()
