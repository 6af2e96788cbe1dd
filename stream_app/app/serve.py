"""Projection and API in one process."""

import asyncio
import os
import socket
from contextlib import aclosing
from math import nan

from projections.publish import Publisher
from projections.reader import SnapshotReader
from projections.service import ProjectionService
from projections.store import Store
from stream_app.api.access import Tokens
from stream_app.api.app import make_api
from stream_app.api.config import make_config_router
from stream_app.api.parts import Parts
from stream_app.api.server import bind, serve_api
from stream_app.app.stopping import until
from stream_app.config.in_force import announce
from stream_app.config.parts import changing_config
from stream_app.domain.config import Step
from stream_app.kafka.clients import make_consumer
from stream_app.kafka.group_reader import GroupReader
from stream_app.kafka.log_ends import LogEnds
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.request_watch import RequestWatch
from stream_app.kafka.topology import create_topics
from stream_app.kafka.writer import open_writer
from stream_app.settings import Settings
from stream_app.telemetry import metrics
from stream_app.telemetry.log import get_logger
from stream_app.telemetry.tracing import exporting_traces
from topics.groups import INTAKE_GROUP, KEEPER_GROUP
from topics.registry import RENDER_CONFIG

log = get_logger()


async def run_serve(settings: Settings, stop: asyncio.Event, *, rebuild: bool = False) -> None:
    """Projection and API in one process, until `stop`; then a last snapshot is published.

    With `rebuild` the log is folded anew beside the file that is there, which is then exchanged.

    Raises:
        TopologyError: the topics in Kafka are not as declared.
        UsageError: a setting cannot be used, or another process projects into these artifacts.
    """
    tokens = Tokens.of(settings)
    await create_topics(settings)
    listener = bind(settings, tokens)
    store = Store(settings.projection_path)
    try:
        projection = ProjectionService(
            lambda: make_consumer(settings), store, Publisher(store, settings.snapshot_path)
        )
        metrics.PROJECTION_LAG.set_function(lambda: nan if projection.lag is None else projection.lag)
        metrics.watch_disk(settings.artifacts_dir)
        reader = RenderConfigReader(settings, on_change=_announce_news)
        async with (
            exporting_traces(settings, "serve", f"{socket.gethostname()}-{os.getpid()}"),
            open_writer(settings, "serve") as writer,
            changing_config(settings, writer, reader) as config,
            aclosing(SnapshotReader(settings.snapshot_path)) as snapshot,
            aclosing(LogEnds(settings)) as ends,
            asyncio.TaskGroup() as parts,
        ):
            requests = RequestWatch(settings, INTAKE_GROUP, ends)
            streams = asyncio.Semaphore(settings.api_max_streams)
            api = make_api(
                Parts(settings, projection, snapshot, requests, ends, writer, stop, streams),
                tokens,
                make_config_router(config.service),
            )
            keeping = GroupReader(settings, RENDER_CONFIG, KEEPER_GROUP, config.keeper, window=None)
            parts.create_task(reader.run(stop), name="render-config")
            parts.create_task(config.keeper.run(stop), name="config-keeper")
            parts.create_task(keeping.run(stop), name=KEEPER_GROUP)
            parts.create_task(projection.run(stop), name="projection")
            if rebuild:
                parts.create_task(until(stop, projection.renew()), name="rebuild")
            parts.create_task(requests.run(stop), name="request-watch")
            parts.create_task(serve_api(api, listener, stop), name="api")
            log.info(
                "serve.started", address=listener.getsockname()[:2], snapshot=str(settings.snapshot_path)
            )
    finally:
        store.close()
        listener.close()
    log.info("serve.stopped")


def _announce_news(step: Step) -> None:
    if step.before != step.after:
        announce(step.after)
