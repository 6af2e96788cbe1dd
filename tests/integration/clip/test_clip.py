"""Writing and verifying clips."""

import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream_app.clip.encoding import ClipWriter, black_picture, make_black, timescale
from stream_app.clip.verify import verify_clip
from stream_app.domain.errors import SourceError
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

PROFILE = RenderProfile(width=64, height=48, quality="draft", fps="30000/1001")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    out = tmp_path / "clip.mp4"
    make_black(PROFILE, 40, out)
    return out


@pytest.fixture
def noise(tmp_path: Path) -> tuple[Path, str]:
    """A clip with something in it, and its payload."""
    out, picture = tmp_path / "noise.mp4", black_picture(PROFILE)
    with ClipWriter(out, PROFILE) as writer:
        for k in range(40):
            picture.planes[0].update(
                bytes((k * 37 + i * i) % 220 + 16 for i in range(picture.planes[0].buffer_size))
            )
            writer.add(picture)
    return out, writer.payload


def refusal(
    path: Path, profile: RenderProfile = PROFILE, frames: int = 40, payload: str | None = None
) -> str:
    with pytest.raises(SourceError) as caught:
        verify_clip(path, profile, frames, payload=payload)
    assert caught.value.reason is FallbackReason.CUT_FAILED
    assert caught.value.retryable
    assert caught.value.stage == "verify"
    return str(caught.value)


def test_black_is_black_on_an_exact_grid(clip: Path) -> None:
    verify_clip(clip, PROFILE, 40)
    with av.open(str(clip)) as made:
        frames = list(made.decode(video=0))
        assert made.streams.video[0].time_base == Fraction(1, 30000)
    assert [frame.pts for frame in frames] == [1001 * k for k in range(40)]
    assert {bytes(frame.planes[0])[:64] for frame in frames} == {bytes([16]) * 64}


@pytest.mark.parametrize(
    ("rate", "ticks"), [("30", 15360), ("30000/1001", 30000), ("1", 512), ("29/2", 14848)]
)
def test_the_clock_is_fine_and_whole(rate: str, ticks: int) -> None:
    assert timescale(Fraction(rate)) == ticks
    assert (ticks / Fraction(rate)).denominator == 1


@pytest.mark.parametrize("frames", [39, 41])
def test_another_number_of_frames_is_refused(clip: Path, frames: int) -> None:
    assert "40 packets" in refusal(clip, frames=frames)


@pytest.mark.parametrize(
    "change",
    [{"width": 66}, {"quality": "standard"}, {"fps": "30"}],
)
def test_another_profile_is_refused(clip: Path, change: dict[str, object]) -> None:
    refusal(clip, PROFILE.model_copy(update=change))


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("percent", [0, 1, 30, 60, 95, 99])
def test_a_cut_off_clip_is_refused(noise: tuple[Path, str], percent: int, *, decode: bool) -> None:
    clip, payload = noise
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) * percent // 100])
    refusal(clip, payload=None if decode else payload)


@pytest.mark.parametrize("decode", [True, False])
def test_zeroed_data_are_refused(noise: tuple[Path, str], *, decode: bool) -> None:
    clip, payload = noise
    data = bytearray(clip.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    clip.write_bytes(data)
    refusal(clip, payload=None if decode else payload)


def test_a_clip_holds_what_was_encoded_to_the_last_bit(noise: tuple[Path, str]) -> None:
    clip, payload = noise
    verify_clip(clip, PROFILE, 40)
    verify_clip(clip, PROFILE, 40, payload=payload)
    data = bytearray(clip.read_bytes())
    # In the coded picture of the middle: not in a box, whose loss would show otherwise.
    data[data.rindex(b"mdat", 0, len(data) // 2) + 200] ^= 1
    clip.write_bytes(data)
    assert "not those that were encoded" in refusal(clip, payload=payload)


def test_a_writer_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with ClipWriter(tmp_path / "clip.mp4", PROFILE) as writer:
            writer.add(black_picture(PROFILE))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from stream_app.clip.encoding import make_black
from stream_app.domain.errors import OwnFaultError
from topics.profile import RenderProfile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    make_black(RenderProfile(width=64, height=48), 3000, Path(sys.argv[1]))
except OwnFaultError as error:
    print("own fault", Path(sys.argv[1]).exists())
"""


@pytest.mark.parametrize("limit", [0, 600, 4096, 40_000])
def test_a_disk_that_fills_up_is_our_own_fault(tmp_path: Path, limit: int) -> None:
    assert resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "clip.mp4"), str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "own fault False", done.stderr
