"""HLS: a recording in segments, of which only those that a line needs are fetched."""

from stream_app.sources.hls.playlist import is_playlist
from stream_app.sources.hls.stream import obtain_hls

__all__ = ["is_playlist", "obtain_hls"]
