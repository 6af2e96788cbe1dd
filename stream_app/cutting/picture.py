"""From a decoded frame to the picture of a profile: upright, square pixels, BT.709 limited.

What a file leaves untold is settled here: pixels are square, range is limited (full for the `yuvj`
formats), and the matrix is BT.2020's for light of its kind, else BT.709 from 720 lines on, BT.601 below, as
broadcasters and players have it. High dynamic range and wide gamut are made BT.709 by `tone_map`, on the
picture that is scaled already. Dolby Vision without a base layer that others can show (profile 5) is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.filter import Graph
from av.filter.context import FilterContext

from stream_app.cutting.tone_map import BT2020, HALD_FORMAT, SIDE, Light, hald
from stream_app.domain.errors import SourceError
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

HD_LINES = 720
UNTOLD = 2
"""Colour tags: ITU-T H.273's number for "unspecified"; FFmpeg's 0 for range."""

RGB, RESERVED, BT709, BT601, BT2020_MATRIX, FULL_RANGE = 0, 3, 1, 5, 9, 2
MATRICES = frozenset({BT709, 4, BT601, 6, 7, BT2020_MATRIX})
"""Between R'G'B' and what is stored: those that FFmpeg's scaler can undo."""

MAX_SAR = 16
"""A pixel shape beyond 16:1 is a damaged header, not a shape; it counts as square."""

MAX_SHAPE = Fraction(16)
"""To fill a frame with a picture longer than that would take gigabytes before it is cropped."""

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
_SINK = ("buffersink", "")
_OVERLAY = {"yuv420p": "yuv420", "yuv420p10le": "yuv420p10"}
TICK = Fraction(1, 1000)
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
    light: Light | None

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "_Look":
        light = Light.of(frame)
        full = int(frame.color_range) == FULL_RANGE or frame.format.name.startswith("yuvj")
        return cls(
            frame.width,
            frame.height,
            frame.format.name,
            frame.rotation,
            RGB if frame.format.is_rgb else _matrix(frame, light),
            full,
            light,
        )


def _matrix(frame: av.VideoFrame, light: Light | None) -> int:
    if int(frame.color_trc) == UNTOLD and "DOVI_RPU_BUFFER" in frame.side_data:
        raise _unknown_colours("Dolby Vision profile 5, which has no picture for other displays")
    matrix = int(frame.colorspace)
    if matrix in {RGB, UNTOLD, RESERVED}:
        if light is not None and light.primaries == BT2020:
            return BT2020_MATRIX
        return BT709 if frame.height >= HD_LINES else BT601
    if matrix not in MATRICES:
        raise _unknown_colours(f"stored by the matrix {matrix} of ITU-T H.273, which cannot be undone here")
    return matrix


def _unknown_colours(what: str) -> SourceError:
    return _refused(f"colours are {what}; convert it to BT.709")


def _refused(what: str) -> SourceError:
    return SourceError(FallbackReason.SOURCE_INVALID, f"the source's {what}", stage="paint")


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
        self._filters: _Filters | None = None

    def paint(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture of `frame`, of the profile's size, yuv420p, BT.709 limited; `frame` is used up.

        Raises:
            SourceError: `source_invalid`, when its colours or its shape cannot be shown here.
        """
        look = _Look.of(frame)
        if self._filters is None or look != self._look:
            self._filters = _Filters(look, self._sar, self._profile)
            self._look = look
        frame.colorspace = look.matrix
        frame.color_range = FULL_RANGE if look.full_range else 1
        return self._filters.run(frame)


@dataclass(frozen=True)
class _Canvas:
    """How pictures are held between the first filter and the last."""

    format: str
    matrix: int

    @classmethod
    def of(cls, look: _Look) -> "_Canvas":
        if look.light is None:
            return _ORDINARY
        # Its own matrix, because changing it costs precision.
        return cls("yuv420p10le", BT709 if look.matrix == RGB else look.matrix)

    def scale(self, width: int, height: int) -> list[_Step]:
        size = f"w={width}:h={height}:out_color_matrix={self.matrix}:out_range=tv"
        return [("scale", size), ("format", self.format)]

    def cover(self, shape: Fraction, width: int, height: int) -> list[_Step]:
        """Scale to the smallest size of this shape that covers the frame, and cut off what hangs over."""
        outer_width = max(width, _even(round(height * shape)))
        outer_height = max(height, _even(round(width / shape)))
        return [*self.scale(outer_width, outer_height), ("crop", f"{width}:{height}")]


_ORDINARY = _Canvas("yuv420p", BT709)


class _Filters:
    """The way from frames of one look to pictures."""

    def __init__(self, look: _Look, sar: Fraction, profile: RenderProfile) -> None:
        self._graph = Graph()
        self._graph.threads = 1
        self._profile = profile
        self._canvas = _Canvas.of(look)
        self._painted = 0
        self._source = self._graph.add(
            "buffer",
            f"video_size={look.width}x{look.height}:pix_fmt={look.format}:time_base={TICK}:pixel_aspect=1/1"
            f":colorspace={look.matrix}:range={'pc' if look.full_range else 'tv'}",
        )
        width, height = look.width * sar, Fraction(look.height)
        turns = _TURNS.get(abs(look.rotation) if abs(look.rotation) == HALF_TURN else look.rotation, [])
        if abs(look.rotation) == QUARTER_TURN:
            width, height = height, width
        if not 1 / MAX_SHAPE <= width / height <= MAX_SHAPE:
            raise _refused(f"picture of {look.width}x{look.height} is too long for any other shape")
        filled = self._fill(self._chain(self._source, turns), width / height)
        if look.light is None:
            self._chain(filled, [*_PIN, _SINK])
            self._graph.configure()
        else:
            self._map_tones(filled, look.light)

    def run(self, frame: av.VideoFrame) -> av.VideoFrame:
        # A clock of their own: a frame that came before the table would pass it by.
        frame.pts, frame.time_base = self._painted, TICK
        self._painted += 1
        self._source.push(frame)
        return self._graph.vpull()

    def _fill(self, upright: FilterContext, shape: Fraction) -> FilterContext:
        width, height, canvas = self._profile.width, self._profile.height, self._canvas
        inner_width, inner_height = _inside(shape, width, height)
        if self._profile.fit == "stretch" or (inner_width, inner_height) == (width, height):
            return self._chain(upright, canvas.scale(width, height))
        if self._profile.fit == "crop":
            return self._chain(upright, canvas.cover(shape, width, height))
        inner = canvas.scale(inner_width, inner_height)
        left, top = _centre(width - inner_width), _centre(height - inner_height)
        if self._profile.fit == "pad":
            return self._chain(upright, [*inner, ("pad", f"{width}:{height}:{left}:{top}:black")])
        both = self._graph.add("split", "2")
        upright.link_to(both)
        small = canvas.cover(shape, _even(width // BLUR_SHRINK), _even(height // BLUR_SHRINK))
        blurred = [*small, ("gblur", f"sigma={BLUR_SIGMA}"), *canvas.scale(width, height)]
        behind = self._chain(both, blurred)
        before = self._chain(both, inner, output=1)
        return self._join("overlay", f"x={left}:y={top}:format={_OVERLAY[canvas.format]}", behind, before)

    def _map_tones(self, filled: FilterContext, light: Light) -> None:
        """Make of the source's light that of BT.709, by the table that `hald` made."""
        table = self._graph.add(
            "buffer", f"video_size={SIDE}x{SIDE}:pix_fmt={HALD_FORMAT}:time_base={TICK}:pixel_aspect=1/1"
        )
        coded = self._chain(filled, [("scale", ""), ("format", HALD_FORMAT)])
        mapped = self._join("haldclut", "", coded, table)
        steps = _ORDINARY.scale(self._profile.width, self._profile.height)
        self._chain(mapped, [*steps, *_PIN, _SINK])
        self._graph.configure()
        table.push(hald(light))
        table.push(None)

    def _join(self, name: str, args: str, first: FilterContext, second: FilterContext) -> FilterContext:
        joint = self._graph.add(name, args)
        first.link_to(joint, 0, 0)
        second.link_to(joint, 0, 1)
        return joint

    def _chain(self, start: FilterContext, steps: Sequence[_Step], *, output: int = 0) -> FilterContext:
        for name, args in steps:
            step = self._graph.add(name, args)
            start.link_to(step, output)
            start, output = step, 0
        return start


def _inside(shape: Fraction, width: int, height: int) -> tuple[int, int]:
    """The largest even size of this shape that lies within the frame."""
    return min(width, _even(round(height * shape))), min(height, _even(round(width / shape)))


def _even(pixels: int) -> int:
    return max(2, pixels + pixels % 2)


def _centre(rest: int) -> int:
    """Where the inner picture starts: on an even pixel, where 4:2:0 chroma can follow."""
    return rest // 4 * 2
