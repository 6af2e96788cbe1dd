"""Send the finished video of a mix, whole or by ranges, and the lyrics beside it."""

import asyncio
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from stream_app.api.documented import MixIdInPath, problems
from stream_app.api.parts import Parts, PartsOf
from stream_app.api.problems import Problem
from stream_app.api.standing import rendered_of
from stream_app.file_uri import path_of

router = APIRouter(prefix="/api/v1/mixes", tags=["files"])

VIDEO = "video/mp4"
SUBTITLES = {"srt": "application/x-subrip; charset=utf-8", "vtt": "text/vtt; charset=utf-8"}
REVALIDATE = "private, no-cache"
"""A browser may keep the file, and asks whether it is still the same: a revision makes another one."""

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_ETAG = {"ETag": {"description": "sha256 of the file", "schema": {"type": "string"}}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "the whole video", "content": {VIDEO: _BINARY}, "headers": _ETAG},
    206: {
        "description": "the bytes that the header Range asks for",
        "content": {VIDEO: _BINARY, "multipart/byteranges": _BINARY},
        "headers": _ETAG,
    },
    304: {"description": "the ETag in If-None-Match is still that of the video"},
}


class _LargeFile(FileResponse):
    chunk_size = 2**20


@router.get(
    "/{mix_id}/video",
    operation_id="getVideo",
    summary="Fetch the video",
    response_class=_LargeFile,
    responses=problems(404, 410, 416, 422, 503) | _FILE,
)
async def get_video(parts: PartsOf, mix_id: MixIdInPath, request: Request) -> Response:
    """The video of the newest revision once it is rendered; until then a 404.

    One range or several may be asked for; `ETag` is the SHA-256 of the file, good for `If-Range` and
    `If-None-Match`.
    """
    path, sha256 = await _video_of(parts, mix_id)
    headers = {"ETag": f'"{sha256}"', "Cache-Control": REVALIDATE}
    if _names(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _LargeFile(
        path,
        media_type=VIDEO,
        filename=f"{mix_id}.mp4",
        content_disposition_type="inline",
        headers=headers,
    )


router.add_api_route(
    "/{mix_id}/video",
    get_video,
    methods=["HEAD"],
    operation_id="headVideo",
    summary="Size and ETag of the video",
    response_class=_LargeFile,
    responses=problems(404, 410, 416, 422, 503) | _FILE,
)


@router.get(
    "/{mix_id}/subtitles/{kind}",
    operation_id="getSubtitles",
    summary="Fetch the lyrics beside the video",
    response_class=FileResponse,
    responses=problems(404, 410, 422, 503)
    | {
        200: {
            "description": "SubRip or WebVTT",
            "content": {kind.split(";")[0]: {"schema": {"type": "string"}} for kind in SUBTITLES.values()},
        }
    },
)
async def get_subtitles(parts: PartsOf, mix_id: MixIdInPath, kind: Literal["srt", "vtt"]) -> Response:
    """The lyrics of the newest revision as a file, when its request has that kind in `subtitles.sidecar`."""
    video, _ = await _video_of(parts, mix_id)
    path = video.with_suffix(f".{kind}")
    if not await asyncio.to_thread(path.is_file):
        raise Problem(404, f"{mix_id} has no {kind} beside its video: none was asked for")
    return FileResponse(
        path,
        media_type=SUBTITLES[kind],
        filename=f"{mix_id}.{kind}",
        content_disposition_type="inline",
        headers={"Cache-Control": REVALIDATE},
    )


async def _video_of(parts: Parts, mix_id: str) -> tuple[Path, str]:
    """File and sha256 of a rendered mix.

    Raises:
        Problem: 404 unless it is rendered; 410 when its file is no longer there.
    """
    uri, sha256 = await rendered_of(parts, mix_id)
    return await asyncio.to_thread(_file_of, uri, parts.settings.mixes_dir), sha256


def _file_of(uri: str, root: Path) -> Path:
    """The file at `uri`, which must lie among our own videos: an event is no reason to read anything else."""
    try:
        path = path_of(uri).resolve()
    except ValueError as error:
        raise Problem(410, "the video is kept elsewhere: the mix's events say where") from error
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise Problem(
            410,
            f"the video is no longer among the videos of this machine ({path.name}): "
            'POST .../revise with {"again": true} makes it once more',
        )
    return path


def _names(if_none_match: str, etag: str) -> bool:
    """Whether the header names this ETag, weakly compared, as RFC 9110 has it for If-None-Match."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags
