"""Small valid requests to start examples from."""

from typing import Any


def candidate(video_id: str = "v1", **changes: Any) -> dict[str, Any]:
    return {"video_id": video_id, "uri": f"media/{video_id}.mp4", "start_ms": 0, **changes}


def line(start_ms: int, end_ms: int, *candidates: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"start_ms": start_ms, "end_ms": end_ms, "candidates": list(candidates), **changes}


def request(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"mix_id": "m1", "lines": list(lines) or [line(0, 3000, candidate())], **changes}
