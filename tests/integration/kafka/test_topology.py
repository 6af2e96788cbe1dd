"""Topics that are not as declared stop the program, which says how to mend them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream_app.kafka import broker
from stream_app.kafka.clients import make_admin
from stream_app.kafka.topology import TopologyError, create_topics, find_mismatches, verify_topics
from stream_app.settings import Settings
from topics.registry import MIX_EVENTS, TOPICS


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """An empty Kafka, whose topics may be spoiled."""
    running = broker.start(tmp_path / "home", cache=broker.default_home())
    yield Settings(kafka_bootstrap=running.bootstrap, artifacts_dir=tmp_path / "artifacts")
    broker.stop(tmp_path / "home")


def clipfold(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RENDER_KAFKA_BOOTSTRAP": settings.kafka_bootstrap or ""}
    return subprocess.run(
        [sys.executable, "-m", "stream_app.cli", *arguments],
        env={**environment, "RENDER_ARTIFACTS_DIR": str(settings.artifacts_dir)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def set_config(settings: Settings, topic: str, configs: dict[str, str]) -> None:
    admin = make_admin(settings)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    await admin.close()
    async with asyncio.timeout(10):
        while not await find_mismatches(settings):  # noqa: ASYNC110 - brokers take a moment to tell
            await asyncio.sleep(0.05)


async def test_missing_topics_are_created_once(settings: Settings) -> None:
    assert {mismatch.what for mismatch in await find_mismatches(settings)} == {"is missing"}
    assert await create_topics(settings) == tuple(topic.name for topic in TOPICS)
    assert await create_topics(settings) == ()
    await verify_topics(settings)


async def test_a_setting_that_somebody_changed_stops_the_program_and_is_mended_on_request(
    settings: Settings,
) -> None:
    await create_topics(settings)
    await set_config(settings, MIX_EVENTS.name, {**MIX_EVENTS.configs, "retention.ms": "1000"})
    with pytest.raises(TopologyError, match=r"mix-events: retention\.ms is 1000, -1 is needed"):
        await create_topics(settings)
    worker = await asyncio.to_thread(clipfold, settings, "worker")
    assert worker.returncode == 1
    assert "clipfold topics create" in worker.stderr
    assert (await asyncio.to_thread(clipfold, settings, "topics", "check")).returncode == 1
    assert (await asyncio.to_thread(clipfold, settings, "topics", "create")).returncode == 0
    await verify_topics(settings)


async def test_another_number_of_partitions_is_never_mended_in_place(settings: Settings) -> None:
    admin = make_admin(settings)
    await admin.start()
    await admin.create_topics([NewTopic(MIX_EVENTS.name, 3, 1, topic_configs=MIX_EVENTS.configs)])
    await admin.close()
    created = await asyncio.to_thread(clipfold, settings, "topics", "create")
    assert created.returncode == 1
    assert "has 3 partitions, 8 are needed" in created.stderr
    assert "--delete --topic mix-events" in created.stderr
