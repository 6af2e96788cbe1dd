"""HLS: a recording in segments, of which only those that a line needs are fetched."""

from stream_app.sources.hls.playlist import MAX_PLAYLIST_BYTES, is_playlist
from stream_app.sources.hls.stream import obtain_hls

__all__ = ["MAX_PLAYLIST_BYTES", "is_playlist", "obtain_hls"]
