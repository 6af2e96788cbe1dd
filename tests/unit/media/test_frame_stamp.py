from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import av
import pytest
from frame_stamp import (
    Origin,
    StampError,
    centre_area,
    read_luma,
    read_origin,
    read_stamp,
    shown_area,
    stamp_row,
)
from sample_table import SAMPLES, Sample
from sample_video import draw_frames, make_video

Fit = Literal["crop", "pad", "blur", "stretch"]
by_name = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)

FILTERS = {
    "crop": "scale={w}:{h}:force_original_aspect_ratio=increase,crop={w}:{h},setsar=1",
    "pad": "scale={w}:{h}:force_original_aspect_ratio=decrease,pad={w}:{h}:-1:-1,setsar=1",
    "stretch": "scale={w}:{h},setsar=1",
}


def refit(frames: Iterator[av.VideoFrame], filters: str, path: Path, crf: int) -> list[av.VideoFrame]:
    """The frames after filters, an encoder, a file and a decoder."""
    graph, coder = None, None
    with av.open(path, "w") as out:
        for frame in frames:
            if graph is None:
                graph = build_graph(frame, filters)
            graph.push(frame)
            fitted = graph.pull()
            if coder is None:
                coder = out.add_stream(
                    "libx264", rate=1 / fitted.time_base, options={"preset": "veryfast", "crf": str(crf)}
                )
                coder.width, coder.height, coder.pix_fmt = fitted.width, fitted.height, "yuv420p"
            out.mux(coder.encode(fitted))
        out.mux(coder.encode(None))
    with av.open(path) as made:
        return list(made.decode(video=0))


def build_graph(frame: av.VideoFrame, filters: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
    ]
    for one in filters.split(","):
        name, _, options = one.partition("=")
        nodes.append(graph.add(name, options))
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


@by_name
def test_each_frame_of_a_source_says_where_it_comes_from(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / sample.file
    make_video(sample, path, lambda: None, frames=30)
    with av.open(path) as source:
        origins = [read_origin(frame) for frame in source.decode(video=0)]
    assert origins == [Origin(sample.number, n) for n in range(30)]


@by_name
@pytest.mark.parametrize("picture", [(1280, 720), (426, 240)])
def test_it_survives_crop_to_16_9_at_crf_23(sample: Sample, picture: tuple[int, int], tmp_path: Path) -> None:
    filters = FILTERS["crop"].format(w=picture[0], h=picture[1])
    frames = refit(draw_frames(sample, 12), filters, tmp_path / "clip.mp4", crf=23)
    assert [read_origin(frame) for frame in frames] == [Origin(sample.number, n) for n in range(12)]
    assert [read_stamp(frame) for frame in frames] == list(range(12))


@by_name
@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_with_another_fit_one_says_where_to_look(sample: Sample, fit: Fit, tmp_path: Path) -> None:
    filters = FILTERS[fit].format(w=1280, h=720)
    frames = refit(draw_frames(sample, 3), filters, tmp_path / "clip.mp4", crf=23)
    area = shown_area(sample.size, (1280, 720), fit)
    assert [read_origin(frame, area) for frame in frames] == [Origin(sample.number, n) for n in range(3)]


def test_crop_shows_the_16_9_part_as_the_whole_picture() -> None:
    for sample in SAMPLES:
        shown, whole = shown_area(sample.size, (1280, 720), "crop"), centre_area((1280, 720))
        assert max(abs(a - b) for a, b in zip(vars(shown).values(), vars(whole).values(), strict=True)) <= 1


@pytest.mark.parametrize("luma", [16, 128, 235])
def test_a_flat_picture_is_no_stamp(luma: int) -> None:
    with pytest.raises(StampError):
        read_luma(bytes([luma]) * (640 * 360), 640, (640, 360))


def test_other_framing_is_refused_not_misread(tmp_path: Path) -> None:
    [mirrored] = refit(draw_frames(SAMPLES[1], 1), "hflip", tmp_path / "mirrored.mp4", crf=23)
    with pytest.raises(StampError):
        read_stamp(mirrored)
    with pytest.raises(StampError, match="beyond"):
        read_stamp(mirrored, shown_area((1280, 720), (720, 720), "crop"))


def test_a_number_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        stamp_row(Origin(1, 1 << 16), centre_area((640, 360)))


def test_every_bit_is_written_and_read() -> None:
    size = (640, 360)
    area = centre_area(size)
    for origin in [Origin(0, 0), Origin(255, 65_535), *(Origin(1 << n % 8, 1 << n) for n in range(16))]:
        row = (bytes(area.columns()[0]) + stamp_row(origin, area)).ljust(size[0], b"\x10")
        assert read_luma(row * size[1], size[0], size) == origin
