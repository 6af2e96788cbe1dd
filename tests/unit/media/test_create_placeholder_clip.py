from pathlib import Path

import av
import create_placeholder_clip as placeholder
import pytest

COMMITTED = Path(__file__).resolve().parents[3] / "media" / "fallback" / "clip_placeholder.mp4"


def test_the_committed_placeholder_is_three_seconds_of_black() -> None:
    placeholder.check_placeholder(COMMITTED)
    assert COMMITTED.stat().st_size < 16_384
    with av.open(COMMITTED) as clip:
        video = clip.streams.video[0]
        assert (video.width, video.height, video.pix_fmt, video.codec.name) == (1280, 720, "yuv420p", "h264")
        assert video.average_rate == 30
        assert video.duration * video.time_base == 3


def test_it_is_made_with_the_same_bytes_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "clip.mp4"
    made = []
    for _ in range(2):
        assert placeholder.main(["--out", str(out)]) == 0
        made.append(out.read_bytes())
    assert made[0] == made[1]
    assert "90 black frames" in capsys.readouterr().out
    assert [p.name for p in out.parent.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(("name", "value"), [("BLACK", 40), ("FRAMES", 89), ("WIDTH", 640), ("FPS", 25)])
def test_another_clip_is_refused(
    name: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other.mp4"
    with monkeypatch.context() as patch:
        patch.setattr(placeholder, name, value)
        placeholder.make_placeholder(path)
    with pytest.raises(placeholder.PlaceholderError):
        placeholder.check_placeholder(path)
