"""Puts a line's text over the pictures of its clip, on the frames in which the line is sung."""

from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph

from stream_app.cutting.lyrics.render import render_text
from stream_app.cutting.lyrics.still import Still
from stream_app.cutting.orders import Overlay
from topics.profile import RenderProfile

TICK = Fraction(1, 1000)
_BUFFER = (
    "video_size={width}x{height}:pix_fmt={format}:time_base=1/1000:pixel_aspect=1/1:colorspace=bt709:range=tv"
)


class Lettering:
    """An overlay made ready for one clip; nothing is done when there is none.

    Args:
        overlay: what to draw.
        profile: of the pictures.
        out: a temporary name of ours; scratch files go beside it.

    Attributes:
        undrawn: characters of the text that no font here has.

    Raises:
        OwnFaultError: the text cannot be rendered for a fault of our own side.
    """

    def __init__(self, overlay: Overlay | None, profile: RenderProfile, out: Path) -> None:
        self.undrawn = ""
        self._frames = 0
        self._stamp: _Stamp | None = None
        if overlay is not None:
            rendered = render_text(overlay.text, profile, out)
            self.undrawn = rendered.undrawn
            self._frames = overlay.frames
            if rendered.still is not None:
                self._stamp = _Stamp(rendered.still, profile)

    def over(self, picture: av.VideoFrame, frame: int) -> av.VideoFrame:
        """What frame number `frame` of the clip shows; `picture` itself stays without text."""
        if self._stamp is None or frame >= self._frames:
            return picture
        return self._stamp.on(picture)


class _Stamp:
    """FFmpeg's `overlay` filter with a still in it."""

    def __init__(self, still: Still, profile: RenderProfile) -> None:
        self._graph = Graph()
        self._graph.threads = 1
        self._below: av.VideoFrame | None = None
        self._result: av.VideoFrame | None = None
        self._stamped = 0
        main = _BUFFER.format(width=profile.width, height=profile.height, format="yuv420p")
        size = {"width": still.picture.width, "height": still.picture.height}
        self._source = self._graph.add("buffer", main)
        letters = self._graph.add("buffer", _BUFFER.format(**size, format="yuva420p"))
        overlay = self._graph.add("overlay", f"x={still.left}:y={still.top}:format=yuv420:eval=init")
        self._source.link_to(overlay, 0, 0)
        letters.link_to(overlay, 0, 1)
        overlay.link_to(self._graph.add("buffersink"))
        self._graph.configure()
        still.picture.pts, still.picture.time_base = 0, TICK
        letters.push(still.picture)
        letters.push(None)

    def on(self, picture: av.VideoFrame) -> av.VideoFrame:
        """`picture` with the text; the same one again costs nothing."""
        if self._result is None or picture is not self._below:
            picture.pts, picture.time_base = self._stamped, TICK
            self._stamped += 1
            self._source.push(picture)
            self._below, self._result = picture, self._graph.vpull()
        return self._result
