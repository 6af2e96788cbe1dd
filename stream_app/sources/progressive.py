"""A source that is one file on a server: only the bytes that a span needs, where its container allows it."""

from functools import partial

from stream_app.sources.mp4_boxes import find_index
from stream_app.sources.remote import GAP_BYTES, RemoteFile
from stream_app.sources.source_file import ByteSpan, Need, Prober, SourceFile

HEAD_BYTES = GAP_BYTES
"""Asked for first: enough for the index of a film of some minutes, or for a whole short clip."""

SMALL_BYTES = 1 << 20
"""A file of up to this is fetched whole: one request more, where its index and a span take two or three."""


async def fetch_needed(remote: RemoteFile, need: Need, prober: Prober) -> SourceFile:
    """Fetch what `need` takes of `remote`.

    Raises:
        SourceError: it cannot be had, or what `prober` says of it.
        OwnFaultError: the disk is full.
    """
    if remote.present is not None and not await _fetch_span(remote, need, prober):
        await remote.ensure_all()
    return _as_source(remote)


async def _fetch_span(remote: RemoteFile, need: Need, prober: Prober) -> bool:
    """Fetch the span by the file's index; False when it has none, or one that does not tell."""
    if remote.size <= SMALL_BYTES:
        return False
    index = await find_index(partial(_read_ahead, remote), remote.size)
    if index is None:
        return False
    await remote.ensure([index])
    spans = await prober.locate(_as_source(remote), need)
    if spans is None:
        return False
    await remote.ensure(spans)
    return True


async def _read_ahead(remote: RemoteFile, span: ByteSpan) -> bytes:
    """The head of a box and, where it has to be fetched, what follows: an index at the end is often short."""
    start, stop = span
    if not remote.has(span):
        await remote.ensure([(start, start + HEAD_BYTES)])
    return await remote.read((start, stop))


def _as_source(remote: RemoteFile) -> SourceFile:
    return SourceFile(remote.path, remote.known.identity, present=remote.present)
