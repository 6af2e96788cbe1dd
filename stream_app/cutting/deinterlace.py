"""Makes one whole picture of each interlaced frame; progressive frames pass untouched."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.filter import Graph


@dataclass(frozen=True)
class SourceFrame:
    """A decoded frame and its presentation time in the source; whoever takes it may re-stamp `frame`."""

    pts: int
    frame: av.VideoFrame


def deinterlaced(frames: Iterator[av.VideoFrame]) -> Iterator[SourceFrame]:
    """Yield every frame in order, interlaced ones with both their moments made one.

    The filter looks at a frame's neighbours, so `frames` must be consecutive from the first interlaced one
    on.
    """
    filter_: _Deinterlacer | None = None
    before: av.VideoFrame | None = None
    for frame in frames:
        if filter_ is not None and not filter_.takes(frame):
            yield from filter_.rest()
            filter_ = before = None
        if filter_ is None and frame.interlaced_frame:
            filter_ = _Deinterlacer(frame, before)
        if filter_ is None:
            before = frame
            yield SourceFrame(_pts(frame), frame)
        else:
            yield from filter_.push(frame)
    if filter_ is not None:
        yield from filter_.rest()


class _Deinterlacer:
    """bwdif, which gives one frame for each it takes, one later."""

    def __init__(self, first: av.VideoFrame, before: av.VideoFrame | None) -> None:
        self._shape = _shape(first)
        self._waiting: deque[int] = deque()
        self._known: int | None = None
        self._graph = Graph()
        self._graph.threads = 1
        width, height, format_ = self._shape
        source = self._graph.add(
            "buffer", f"video_size={width}x{height}:pix_fmt={format_}:time_base=1/90000:pixel_aspect=1/1"
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()
        if before is not None and _shape(before) == self._shape:
            self._known = _pts(before)
            list(self.push(before))

    def takes(self, frame: av.VideoFrame) -> bool:
        """Whether the frame has the shape that this filter was made for."""
        return _shape(frame) == self._shape

    def push(self, frame: av.VideoFrame | None) -> Iterator[SourceFrame]:
        if frame is not None:
            self._waiting.append(_pts(frame))
        self._graph.vpush(frame)
        while True:
            try:
                whole = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            pts = self._waiting.popleft()
            # The frame before the first interlaced one was handed out already.
            if pts != self._known:
                yield SourceFrame(pts, whole)

    def rest(self) -> Iterator[SourceFrame]:
        """Yield the frame that still waits for a neighbour."""
        return self.push(None)


def _shape(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _pts(frame: av.VideoFrame) -> int:
    if frame.pts is None:
        raise ValueError("frames without a presentation time are sorted out by the decoder")
    return frame.pts
