"""What is no video of its own is refused by its content, whatever its name says."""

import os
import threading
from pathlib import Path
from typing import Any

import av
import pytest

from stream_app.clip.verify import verify_clip
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


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{other}\n#EXT-X-ENDLIST\n",
    "hls-map": '#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-MAP:URI="{other}"\n#EXTINF:5,\n{other}\n',
    "concat": "ffconcat version 1.0\nfile '{other}'\n",
    "concat-plain": "file '{other}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet><Representation id="0"><BaseURL>{other}</BaseURL></Representation></AdaptationSet>'
    "</Period></MPD>",
}


@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "mpd", "ffconcat"])
@pytest.mark.parametrize("name", PLAYLISTS)
def test_what_a_playlist_names_is_never_opened(
    small: RenderProfile, name: str, suffix: str, tmp_path: Path
) -> None:
    """It names a pipe, whose first reader is noticed."""
    other, source = tmp_path / "other.mp4", tmp_path / f"list.{suffix}"
    os.mkfifo(other)
    source.write_text(PLAYLISTS[name].format(other=other.as_uri() if "hls" in name else other))
    opened = threading.Event()
    waiting = threading.Thread(target=_note_reader, args=(other, opened), daemon=True)
    waiting.start()
    with pytest.raises(SourceError) as caught:
        cut_clip(CutOrder(SourceFile(source), 0, 5, 0, small), tmp_path / "clip.mp4")
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
    assert not opened.is_set()
    # The watch works: the first to read is noticed.
    with other.open("rb"):
        assert opened.wait(timeout=30)


def _note_reader(pipe: Path, opened: threading.Event) -> None:
    """Opening a pipe for writing waits until someone opens it for reading."""
    with pipe.open("wb"):
        opened.set()


@pytest.mark.parametrize("name", ["clip.gif", "clip.apng", "clip.webp", "clip.y4m", "clip.mxf"])
def test_kinds_that_are_no_source_are_refused(
    footage: Any, small: RenderProfile, name: str, tmp_path: Path
) -> None:
    made, source = tmp_path / name, tmp_path / "source.mp4"
    codec = {"clip.webp": ["-c:v", "libwebp_anim"], "clip.mxf": ["-c:v", "mpeg2video"]}.get(name, [])
    footage.ffmpeg("-t", "1", "-i", footage.source("h264-mp4").path, *codec, made)
    made.replace(source)
    with pytest.raises(SourceError, match="is no video file of a known kind") as caught:
        cut_clip(CutOrder(SourceFile(source), 0, 5, 0, small), tmp_path / "clip.mp4")
    assert caught.value.reason is FallbackReason.SOURCE_INVALID


def test_an_encrypted_file_is_refused(footage: Any, small: RenderProfile, tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    key = ("-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7" * 16)
    made_by = ("-c", "copy", "-encryption_scheme", "cenc-aes-ctr", *key)
    footage.ffmpeg("-i", footage.source("h264-mp4").path, *made_by, source)
    with pytest.raises(SourceError, match="is encrypted") as caught:
        cut_clip(CutOrder(SourceFile(source), 0, 5, 0, small), tmp_path / "clip.mp4")
    assert caught.value.reason is FallbackReason.SOURCE_INVALID


def test_of_two_videos_the_first_is_shown(footage: Any, small: RenderProfile, tmp_path: Path) -> None:
    source, out = tmp_path / "source.mp4", tmp_path / "clip.mp4"
    both = ("-i", footage.source("h264-mp4").path, "-i", footage.source("60-fps").path)
    footage.ffmpeg(*both, "-map", "0:v", "-map", "1:v", "-c", "copy", source)
    cut_clip(CutOrder(SourceFile(source), 2000, 5, 0, small), out)
    assert footage.read(out) == [60, 61, 62, 63, 64]


def test_a_video_of_one_frame_is_one_frame_long(footage: Any, small: RenderProfile, tmp_path: Path) -> None:
    source, out = footage.make(footage.Kind(frames=1), tmp_path / "source.mp4"), tmp_path / "clip.mp4"
    cut_clip(CutOrder(SourceFile(source.path), 0, 1, 0, small), out)
    assert footage.read(out) == [0]
    with pytest.raises(SourceError) as caught:
        cut_clip(CutOrder(SourceFile(source.path), 0, 2, 0, small), out)
    assert caught.value.reason is FallbackReason.SOURCE_TOO_SHORT


@pytest.mark.parametrize("size", [(1, 16), (16, 1), (1, 1), (3, 5)])
@pytest.mark.parametrize("fit", ["crop", "pad", "blur", "stretch"])
def test_tiny_pictures_fill_the_profile(
    small: RenderProfile, size: tuple[int, int], fit: str, tmp_path: Path
) -> None:
    source, out = tmp_path / "source.mov", tmp_path / "clip.mp4"
    _draw_tiny(source, size)
    profile = small.model_copy(update={"fit": fit})
    cut_clip(CutOrder(SourceFile(source), 0, 2, 0, profile), out)
    verify_clip(out, profile, 2)


@pytest.mark.parametrize("size", [(1, 64), (4096, 2)])
def test_a_picture_that_is_hardly_more_than_a_line_is_refused(
    small: RenderProfile, size: tuple[int, int], tmp_path: Path
) -> None:
    source = tmp_path / "source.mov"
    _draw_tiny(source, size)
    with pytest.raises(SourceError, match=f"{size[0]}x{size[1]} is too long") as caught:
        cut_clip(CutOrder(SourceFile(source), 0, 2, 0, small), tmp_path / "clip.mp4")
    assert caught.value.reason is FallbackReason.SOURCE_INVALID


def _draw_tiny(source: Path, size: tuple[int, int]) -> None:
    with av.open(str(source), "w") as file:
        stream = file.add_stream("png", rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "rgb24"
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame(*size, "rgb24")))
        file.mux(stream.encode(None))


@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_a_file_cut_off_before_its_index_is_invalid(
    footage: Any, small: RenderProfile, share: float, tmp_path: Path
) -> None:
    data, source = footage.source("h264-mp4").path.read_bytes(), tmp_path / "source.mp4"
    source.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError) as caught:
        cut_clip(CutOrder(SourceFile(source), 0, 5, 0, small), tmp_path / "clip.mp4")
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
