"""What is no video of its own is refused by its content, whatever its name says."""

from pathlib import Path
from typing import Any

import av
import pytest

from stream_app.cutting.cut import cut_clip
from stream_app.cutting.orders import CutOrder
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile
from topics.reasons import FallbackReason


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000)
        _silence(out, stream)


def sound_with_cover(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000)
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame(64, 64, "yuvj420p")))
        out.mux(cover.encode(None))
        _silence(out, stream)


def _silence(out: Any, stream: Any) -> None:
    for at in range(0, 48000, 1024):
        block = av.AudioFrame("fltp", "stereo", 1024)
        block.sample_rate, block.pts = 48000, at
        for plane in block.planes:
            plane.update(bytes(plane.buffer_size))
        out.mux(stream.encode(block))
    out.mux(stream.encode(None))


def picture(path: Path) -> None:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        out.mux(stream.encode(av.VideoFrame(64, 64, "yuvj420p")))
        out.mux(stream.encode(None))


TEXTS = {
    "web-page": "<html><body>404</body></html>" * 100,
    "empty": "",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{video}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{video}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}
FILES = {"sound-only": sound_only, "sound-with-cover": sound_with_cover}


@pytest.mark.parametrize("name", [*TEXTS, *FILES, "picture"])
def test_it_is_refused_as_invalid(footage: Any, small: RenderProfile, name: str, tmp_path: Path) -> None:
    source = tmp_path / f"{name}.mp4"
    if name in TEXTS:
        video = tmp_path / "video.mp4"
        video.write_bytes(footage.source("h264-mp4").path.read_bytes())
        source.write_text(TEXTS[name].format(video="video.mp4"))
    elif name == "picture":
        picture(tmp_path / "picture.jpg")
        (tmp_path / "picture.jpg").replace(source)
    else:
        FILES[name](source)
    with pytest.raises(SourceError) as caught:
        cut_clip(CutOrder(SourceFile(source), 0, 5, 0, small), tmp_path / "clip.mp4")
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
    assert source.name in str(caught.value)
    assert not (tmp_path / "clip.mp4").exists()


def test_a_file_that_is_gone_is_missing(small: RenderProfile, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        cut_clip(CutOrder(SourceFile(tmp_path / "gone.mp4"), 0, 5, 0, small), tmp_path / "clip.mp4")
    assert caught.value.reason is FallbackReason.SOURCE_MISSING


def test_a_name_full_of_signs_is_only_a_name(footage: Any, small: RenderProfile, tmp_path: Path) -> None:
    source = tmp_path / "a%03d'\\:[x],;|b&$(touch x).ts"
    source.write_bytes(footage.source("ts").path.read_bytes())
    cut_clip(CutOrder(SourceFile(source), 0, 5, 0, small), tmp_path / "clip.mp4")
    assert footage.read(tmp_path / "clip.mp4") == [0, 1, 2, 3, 4]
