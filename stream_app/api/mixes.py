"""Read mixes: a list of them, one of them, its clips. From the snapshot, which follows the log closely."""

import base64
import binascii
import re
from typing import Annotated

from fastapi import APIRouter, Query

from stream_app.api.documented import MixIdInPath, problems
from stream_app.api.paging import Cursor, no_cursor, number_in
from stream_app.api.parts import PartsOf
from stream_app.api.standing import MIX_COLUMNS, details_of, summary
from stream_app.api.views import Clip, ClipPage, ListedStatus, MixDetails, MixPage, Outcome

router = APIRouter(prefix="/api/v1/mixes", tags=["mixes"])

_LIST = f"""
SELECT {MIX_COLUMNS}
WHERE ($status IS NULL OR status = $status)
    AND ($before_ms IS NULL OR (epoch_ms(submitted_at), id) < ($before_ms::BIGINT, $before_id))
ORDER BY epoch_ms(submitted_at) DESC, id DESC LIMIT $count
"""

_CLIPS = """
SELECT clip_index, line_id, text, start_ms, end_ms, start_frame, frames, outcome, fallback_reason, video_id,
    candidate_index, attempts, worker, parallel_slot, duration_ms, epoch_ms(finished_at) AS finished_at_ms,
    config_version, sha256
FROM clips
WHERE mix_id = $mix_id AND clip_index >= $first AND ($outcome IS NULL OR outcome = $outcome)
ORDER BY clip_index LIMIT $count
"""
_CURSOR = re.compile(r"(?P<ms>-?[0-9]{1,18}) (?P<id>[^ ]{1,64})")


@router.get("", operation_id="listMixes", summary="List mixes, newest first", responses=problems(422, 503))
async def list_mixes(
    parts: PartsOf,
    status: Annotated[ListedStatus | None, Query(description="only those of that status")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="mixes in one page")] = 50,
    cursor: Cursor = None,
) -> MixPage:
    """Mixes that were accepted, or only ever rejected, by the time of their newest request.

    The list is the snapshot's, so a mix is in it about a second after a worker has decided on it; while it is
    queued, only `GET /api/v1/mixes/{mix_id}` tells of it. Pages do not shift when mixes come in meanwhile.
    """
    before_ms, before_id = _opened(cursor) if cursor else (None, None)
    found = await parts.snapshot.rows(
        _LIST, {"status": status, "before_ms": before_ms, "before_id": before_id, "count": limit + 1}
    )
    page = found[:limit]
    more = len(found) > limit
    last = page[-1] if page else {}
    next_cursor = _cursor(f"{last['submitted_at_ms']} {last['id']}") if more else None
    return MixPage(items=[summary(row) for row in page], next_cursor=next_cursor)


@router.get("/{mix_id}", operation_id="getMix", summary="Tell of a mix", responses=problems(404, 422, 503))
async def get_mix(parts: PartsOf, mix_id: MixIdInPath) -> MixDetails:
    """Status, progress and figures of a mix; progress and figures are at most about a second old.

    **You read what you wrote:** a mix whose request was acknowledged is found at once. Where the snapshot
    does not have it yet, the log itself is asked: the mix is `queued` while no worker has decided on its
    request, and then `rendering`, with no progress until the snapshot has it. Once its events tell of its
    end, so does this. Only a *revision* of a mix that had ended shows up to a second later.
    """
    return await details_of(parts, mix_id)


@router.get(
    "/{mix_id}/clips",
    operation_id="listClips",
    summary="List the lines of a mix and their clips",
    responses=problems(404, 422, 503),
)
async def list_clips(
    parts: PartsOf,
    mix_id: MixIdInPath,
    outcome: Annotated[Outcome | None, Query(description="only lines with that outcome")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="lines in one page")] = 1000,
    cursor: Cursor = None,
) -> ClipPage:
    """The lines of the newest revision in order, each with what it shows and why.

    A mix that is too new for the snapshot has no lines here yet.
    """
    first = number_in(cursor) if cursor else 0
    found = await parts.snapshot.rows(
        _CLIPS, {"mix_id": mix_id, "first": first, "outcome": outcome, "count": limit + 1}
    )
    if not found:
        await details_of(parts, mix_id)
    next_cursor = str(found[limit]["clip_index"]) if len(found) > limit else None
    return ClipPage(items=[Clip(**row) for row in found[:limit]], next_cursor=next_cursor)


def _cursor(place: str) -> str:
    """Opaque: what a page begins with may change from one version to the next."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _opened(cursor: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise no_cursor() from error
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise no_cursor()
    return int(match["ms"]), match["id"]
