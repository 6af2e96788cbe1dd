"""The worker: intake, cutter and assembler in one process."""

import asyncio
import os
import socket
from contextlib import suppress
from functools import partial

import faust

from stream_app.agents.intake import Intake, declare_intake
from stream_app.agents.mix_index import MixIndex
from stream_app.app.stopping import all_set
from stream_app.assembly.job_dir import JobDirs
from stream_app.assembly.joiner import Joiner
from stream_app.assembly.runner import JoinProcesses
from stream_app.assembly.service import Assembler
from stream_app.clip.store import ClipStore
from stream_app.clock import now_ms
from stream_app.config.in_force import ConfigAtWork
from stream_app.config.placeholder import PlaceholderCheck
from stream_app.cutting.attempt import PLACEHOLDER_TIMEOUT_MS, AttemptRunner
from stream_app.cutting.pool import open_pool
from stream_app.cutting.service import WINDOW, Cutter
from stream_app.domain.errors import OwnFaultError, UsageError
from stream_app.kafka.faust_app import make_faust_app, owned_partitions, run_faust
from stream_app.kafka.follow import recall_mix
from stream_app.kafka.group_reader import GroupReader
from stream_app.kafka.mix_watch import MixWatch
from stream_app.kafka.render_config import RenderConfigReader
from stream_app.kafka.topology import create_topics
from stream_app.kafka.watchdog import Watchdog
from stream_app.kafka.writer import open_writer
from stream_app.retention.collect import collect_now_and_then
from stream_app.retention.garbage import keep_of
from stream_app.settings import Settings
from stream_app.sources.sources import Sources
from stream_app.telemetry import metrics
from stream_app.telemetry.health import Health, ending_a_hung_process, serve_health
from stream_app.telemetry.log import get_logger
from stream_app.telemetry.tracing import exporting_traces
from topics.groups import ASSEMBLER_GROUP, CUTTER_GROUP, INTAKE_GROUP
from topics.registry import CLIP_TASKS, MIX_EVENTS

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
        open_pool(settings, settings.clip_concurrency) as pool,
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
        if not await all_set(config.ready, mix_watch.ready, unless=stop):
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
