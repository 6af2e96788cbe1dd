"""From a decoded frame to the picture of a profile: upright, square pixels, BT.709 limited.

What a file leaves untold is settled here: pixels are square, range is limited (full for the `yuvj`
formats), and the matrix is BT.709 from 720 lines on, BT.601 below, as broadcasters and players have it.
High dynamic range is shown as it is, without tone mapping.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.filter import Graph
from av.filter.context import FilterContext

from topics.profile import RenderProfile

HD_LINES = 720
UNTOLD = 2
"""Colour tags: ITU-T H.273's number for "unspecified"; FFmpeg's 0 for range."""

BT709, BT601, FULL_RANGE = 1, 5, 2
MAX_SAR = 16
"""A pixel shape beyond 16:1 is a damaged header, not a shape; it counts as square."""

QUARTER_TURN, HALF_TURN = 90, 180
_TURNS: dict[int, list[tuple[str, str]]] = {
    QUARTER_TURN: [("transpose", "cclock")],
    -QUARTER_TURN: [("transpose", "clock")],
    HALF_TURN: [("hflip", ""), ("vflip", "")],
}
_PIN = [
    ("setsar", "1"),
    ("setfield", "prog"),
    ("setparams", "range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"),
    ("sidedata", "mode=delete"),
]
BLUR_SHRINK, BLUR_SIGMA = 8, 3
"""The blurred surroundings are made small and enlarged: the same look for a fraction of the work."""

_Step = tuple[str, str]


@dataclass(frozen=True)
class _Look:
    """All of a frame that decides how it is turned into a picture."""

    width: int
    height: int
    format: str
    rotation: int
    matrix: int
    full_range: bool

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "_Look":
        matrix = int(frame.colorspace)
        if matrix == UNTOLD:
            matrix = BT709 if frame.height >= HD_LINES else BT601
        full = int(frame.color_range) == FULL_RANGE or frame.format.name.startswith("yuvj")
        return cls(frame.width, frame.height, frame.format.name, frame.rotation, matrix, full)


class Painter:
    """Turns decoded frames of one source into pictures of one profile.

    The filters are made anew when the frames change.

    Args:
        profile: size and fit.
        sample_aspect_ratio: width of a source pixel over its height; None or 0 is square.
    """

    def __init__(self, profile: RenderProfile, sample_aspect_ratio: Fraction | None) -> None:
        self._profile = profile
        sar = sample_aspect_ratio or Fraction(1)
        self._sar = sar if Fraction(1, MAX_SAR) <= sar <= MAX_SAR else Fraction(1)
        self._look: _Look | None = None
        self._graph = Graph()

    def paint(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture of `frame`, of the profile's size, yuv420p, BT.709 limited; `frame` is used up."""
        look = _Look.of(frame)
        if look != self._look:
            self._graph = _build(look, self._sar, self._profile)
            self._look = look
        frame.colorspace = look.matrix
        frame.color_range = FULL_RANGE if look.full_range else 1
        self._graph.vpush(frame)
        return self._graph.vpull()


def _build(look: _Look, sar: Fraction, profile: RenderProfile) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        f"video_size={look.width}x{look.height}:pix_fmt={look.format}:time_base=1/1000:pixel_aspect=1/1"
        f":colorspace={look.matrix}:range={'pc' if look.full_range else 'tv'}",
    )
    width, height = look.width * sar, Fraction(look.height)
    turns = _TURNS.get(abs(look.rotation) if abs(look.rotation) == HALF_TURN else look.rotation, [])
    if abs(look.rotation) == QUARTER_TURN:
        width, height = height, width
    upright = _chain(graph, source, turns)
    filled = _fill(graph, upright, width / height, profile)
    _chain(graph, filled, [*_PIN, ("buffersink", "")])
    graph.configure()
    return graph


def _fill(graph: Graph, upright: FilterContext, shape: Fraction, profile: RenderProfile) -> FilterContext:
    width, height = profile.width, profile.height
    inner_width, inner_height = _inside(shape, width, height)
    if profile.fit == "stretch" or (inner_width, inner_height) == (width, height):
        return _chain(graph, upright, _scale(width, height))
    if profile.fit == "crop":
        return _chain(graph, upright, _cover(shape, width, height))
    inner = _scale(inner_width, inner_height)
    left, top = _centre(width - inner_width), _centre(height - inner_height)
    if profile.fit == "pad":
        return _chain(graph, upright, [*inner, ("pad", f"{width}:{height}:{left}:{top}:black")])
    both = graph.add("split", "2")
    upright.link_to(both)
    small = _cover(shape, _even(width // BLUR_SHRINK), _even(height // BLUR_SHRINK))
    blurred = [*small, ("gblur", f"sigma={BLUR_SIGMA}"), *_scale(width, height)]
    behind = _chain(graph, both, blurred)
    before = _chain(graph, both, inner, output=1)
    overlay = graph.add("overlay", f"x={left}:y={top}:format=yuv420")
    behind.link_to(overlay, 0, 0)
    before.link_to(overlay, 0, 1)
    return overlay


def _chain(graph: Graph, start: FilterContext, steps: Sequence[_Step], *, output: int = 0) -> FilterContext:
    for name, args in steps:
        step = graph.add(name, args)
        start.link_to(step, output)
        start, output = step, 0
    return start


def _scale(width: int, height: int) -> list[_Step]:
    return [("scale", f"w={width}:h={height}:out_color_matrix=bt709:out_range=tv"), ("format", "yuv420p")]


def _cover(shape: Fraction, width: int, height: int) -> list[_Step]:
    """Scale to the smallest size of this shape that covers the frame, and cut off what hangs over."""
    outer_width = max(width, _even(round(height * shape)))
    outer_height = max(height, _even(round(width / shape)))
    return [*_scale(outer_width, outer_height), ("crop", f"{width}:{height}")]


def _inside(shape: Fraction, width: int, height: int) -> tuple[int, int]:
    """The largest even size of this shape that lies within the frame."""
    return min(width, _even(round(height * shape))), min(height, _even(round(width / shape)))


def _even(pixels: int) -> int:
    return max(2, pixels + pixels % 2)


def _centre(rest: int) -> int:
    """Where the inner picture starts: on an even pixel, where 4:2:0 chroma can follow."""
    return rest // 4 * 2
