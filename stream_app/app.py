"""The composition root: what each role is made of, and how its parts run and stop together."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Any

import faust

from projections.publish import Publisher
from projections.reader import SnapshotReader
from projections.service import ProjectionService
from projections.store import Store
from stream_app.agents.intake import GROUP as INTAKE_GROUP
from stream_app.agents.intake import Intake, declare_intake
from stream_app.agents.mix_index import MixIndex
from stream_app.api.access import Tokens
from stream_app.api.app import make_api
from stream_app.api.config import make_config_router
from stream_app.api.parts import Parts
from stream_app.api.server import bind, serve_api
from stream_app.assembly.job_dir import JobDirs
from stream_app.assembly.joiner import Joiner
from stream_app.assembly.runner import JoinProcesses
from stream_app.assembly.service import GROUP as ASSEMBLER_GROUP
from stream_app.assembly.service import Assembler
from stream_app.clip.store import ClipStore
from stream_app.clock import now_ms
from stream_app.config.in_force import ConfigAtWork, announce
from stream_app.config.keeper import GROUP as KEEPER_GROUP
from stream_app.config.keeper import ConfigKeeper
from stream_app.config.placeholder import PlaceholderCheck
from stream_app.config.service import ConfigService
from stream_app.config.writer import ConfigWriter
from stream_app.cutting.attempt import PLACEHOLDER_TIMEOUT_MS, AttemptRunner
from stream_app.cutting.pool import CutterPool
from stream_app.cutting.sandbox import find_sandbox
from stream_app.cutting.service import GROUP as CUTTER_GROUP
from stream_app.cutting.service import WINDOW, Cutter
from stream_app.domain.config import Step
from stream_app.domain.errors import OwnFaultError, UsageError
from stream_app.kafka.clients import make_consumer
from stream_app.kafka.faust_app import make_faust_app, owned_partitions, run_faust
from stream_app.kafka.follow import recall_mix
from stream_app.kafka.group_reader import GroupReader
from stream_app.kafka.log_ends import LogEnds
from stream_app.kafka.mix_watch import MixWatch
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.request_watch import RequestWatch
from stream_app.kafka.topology import create_topics
from stream_app.kafka.watchdog import Watchdog
from stream_app.kafka.writer import Writer
from stream_app.retention.collect import collect_now_and_then
from stream_app.retention.garbage import keep_of
from stream_app.settings import Settings
from stream_app.sources.sources import Sources
from stream_app.telemetry import metrics
from stream_app.telemetry.health import Health, ending_a_hung_process, serve_health
from stream_app.telemetry.log import get_logger
from stream_app.telemetry.tracing import exporting_traces
from topics.registry import CLIP_TASKS, MIX_EVENTS, RENDER_CONFIG

BEAT_EVERY_S = 0.5
STOP_GRACE_S = 15.0
"""On top of the drain limit: a worker that was to end and has not is ended by force."""
SWEEP_EVERY_S = 60.0
"""A worker that cuts transport streams without pause leaves some GB of copies meanwhile."""

log = get_logger()


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Intake, cutter and assembler in one process, until `stop`; then what runs is drained.

    Raises:
        TopologyError: the topics in Kafka are not as declared.
        UsageError: a setting cannot be used.
        ClipfoldError: a part ended by itself; end the process and start it again.
    """
    worker = settings.worker_id or f"{socket.gethostname()}-{os.getpid()}"
    await create_topics(settings)
    health = Health()
    port = serve_metrics(settings, health)
    metrics.watch_disk(settings.artifacts_dir)
    reader = RenderConfigReader(settings)
    async with (
        exporting_traces(settings, "worker", worker),
        open_writer(settings, "worker") as writer,
        _pool(settings, settings.clip_concurrency) as pool,
        Sources(settings, pool) as sources,
        JoinProcesses() as join_processes,
        asyncio.TaskGroup() as parts,
    ):
        parts.create_task(_beat(settings, health, stop), name="heartbeat")
        parts.create_task(_sweep_store(settings, stop), name="sweep")
        parts.create_task(collect_now_and_then(settings, stop), name="gc")
        config = ConfigAtWork(reader, PlaceholderCheck(settings.media_roots, pool))
        parts.create_task(reader.run(stop), name="render-config")
        parts.create_task(config.run(stop), name="config-at-work")
        mix_watch = MixWatch(settings, ASSEMBLER_GROUP)
        parts.create_task(mix_watch.run(stop), name="mix-watch")
        if not await _all_set(config.ready, mix_watch.ready, unless=stop):
            return
        runner = AttemptRunner(
            settings, writer, sources, pool, config=lambda: config.current, clock=now_ms, worker=worker
        )
        cutter = Cutter(
            runner,
            writer,
            mix_watch,
            config=lambda: config.current,
            clock=now_ms,
            drain_timeout_ms=settings.drain_timeout_ms,
            attempt_timeout_ms=settings.fetch_timeout_ms + PLACEHOLDER_TIMEOUT_MS,
        )

        def obey_config() -> None:
            pool.resize(config.current.config.max_parallelism)
            cutter.wake()

        obey_config()
        config.on_change = obey_config
        mix_watch.on_change = cutter.mix_changed
        assembler = Assembler(
            Joiner(settings, sources, join_processes, now_ms),
            writer,
            JobDirs(settings.render_tmp_dir, keep=settings.keep_tmp),
            partial(recall_mix, settings),
        )
        index = MixIndex(settings)
        faust_app = make_faust_app(settings, INTAKE_GROUP)
        declare_intake(
            faust_app, Intake(index, writer, lambda: config.current, now_ms, keep_of(settings).clips_ms)
        )
        cutter_reader = GroupReader(settings, CLIP_TASKS, CUTTER_GROUP, cutter, window=WINDOW, worker=worker)
        assembler_reader = GroupReader(
            settings, MIX_EVENTS, ASSEMBLER_GROUP, assembler, window=None, worker=worker
        )
        parts.create_task(cutter.run(stop), name="scheduler")
        parts.create_task(cutter_reader.run(stop), name=CUTTER_GROUP)
        parts.create_task(assembler_reader.run(stop), name=ASSEMBLER_GROUP)
        parts.create_task(_run_intake(faust_app, index, stop), name=INTAKE_GROUP)
        watch = partial(Watchdog, settings, health=health, is_refused=writer.is_refused)
        for watchdog in (
            watch(
                INTAKE_GROUP,
                lambda: dict.fromkeys(owned_partitions(faust_app), 0),
                on_lag=metrics.LAG.labels(INTAKE_GROUP).set,
            ),
            watch(CUTTER_GROUP, cutter_reader.taken, movement=cutter.movement),
            watch(ASSEMBLER_GROUP, assembler_reader.taken),
        ):
            parts.create_task(watchdog.run(stop), name="watchdog")
        health.is_started = True
        log.info("render_worker.started", worker=worker, metrics_port=port)
    log.info("render_worker.stopped", worker=worker)


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
                parts.create_task(_until(stop, projection.renew()), name="rebuild")
            parts.create_task(requests.run(stop), name="request-watch")
            parts.create_task(serve_api(api, listener, stop), name="api")
            log.info(
                "serve.started", address=listener.getsockname()[:2], snapshot=str(settings.snapshot_path)
            )
    finally:
        store.close()
        listener.close()
    log.info("serve.stopped")


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but end it unfinished at `stop`."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        working.cancel()
    with suppress(asyncio.CancelledError):
        await working


@dataclass(frozen=True, slots=True)
class ConfigParts:
    """What changes the render config, and what keeps its topic in order."""

    service: ConfigService
    keeper: ConfigKeeper


@asynccontextmanager
async def changing_config(
    settings: Settings, writer: Writer, reader: RenderConfigReader
) -> AsyncIterator[ConfigParts]:
    """The parts of one process, on what `reader` reads; the caller runs reader and keeper."""
    async with _pool(settings, 1) as pool:
        check = PlaceholderCheck(settings.media_roots, pool)
        config_writer = ConfigWriter(writer, reader)
        yield ConfigParts(
            ConfigService(reader, config_writer, check),
            ConfigKeeper(reader, config_writer, writer, check),
        )


def _announce_news(step: Step) -> None:
    if step.before != step.after:
        announce(step.after)


@asynccontextmanager
async def open_writer(settings: Settings, role: str) -> AsyncIterator[Writer]:
    """A connected writer.

    Raises:
        KafkaError: Kafka cannot be reached.
    """
    writer = Writer(settings, role)
    await writer.start()
    try:
        yield writer
    finally:
        with suppress(TimeoutError):
            await writer.stop()


def serve_metrics(settings: Settings, health: Health) -> int:
    """Serve `/metrics`, `/healthz` and `/readyz`; returns the port.

    Without a port of the user's own choice, a second worker on the machine takes any free one.

    Raises:
        UsageError: the port that was asked for is taken.
    """
    try:
        return serve_health(health, settings.metrics_host, settings.metrics_port)
    except OSError as error:
        if "metrics_port" in settings.model_fields_set:
            raise UsageError(
                f"RENDER_METRICS_PORT={settings.metrics_port} cannot be used: {error.strerror}; 0 takes any"
            ) from error
        return serve_health(health, settings.metrics_host, 0)


@asynccontextmanager
async def stop_on_signals() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _all_set(*events: asyncio.Event, unless: asyncio.Event) -> bool:
    """Wait until all are set, and say so; or until `unless` is."""

    async def wait_for_all() -> None:
        for event in events:
            await event.wait()

    all_set, given_up = asyncio.create_task(wait_for_all()), asyncio.create_task(unless.wait())
    try:
        await asyncio.wait((all_set, given_up), return_when=asyncio.FIRST_COMPLETED)
        return all_set.done()
    finally:
        all_set.cancel()
        given_up.cancel()


async def _run_intake(faust_app: faust.App, index: MixIndex, stop: asyncio.Event) -> None:
    try:
        await run_faust(faust_app, stop)
    finally:
        await index.close()


async def _beat(settings: Settings, health: Health, stop: asyncio.Event) -> None:
    """Have the process ended when its event loop hangs, or when it was to end and does not."""
    stopping_s = settings.drain_timeout_ms / 1000 + STOP_GRACE_S
    with ending_a_hung_process(after_s=settings.stuck_after_ms / 1000, stopping_s=stopping_s) as live_on:
        while not stop.is_set():
            health.beat()
            live_on()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), BEAT_EVERY_S)


async def _sweep_store(settings: Settings, stop: asyncio.Event) -> None:
    """What a killed worker was writing is of no use to anyone, and its disk space is."""
    while not stop.is_set():
        try:
            swept = await asyncio.to_thread(ClipStore(settings.clips_dir).sweep)
            if swept:
                log.info("clip_store.swept", files=swept)
        except OwnFaultError as error:
            log.warning("clip_store.not_swept", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SWEEP_EVERY_S)


@asynccontextmanager
async def _pool(settings: Settings, size: int) -> AsyncIterator[CutterPool]:
    sandbox = await asyncio.to_thread(find_sandbox, settings)
    pool = CutterPool(size, settings.clips_dir, sandbox)
    try:
        yield pool
    finally:
        await pool.close()
