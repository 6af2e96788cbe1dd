import pytest

from stream_app.kafka.topology import create_topics
from stream_app.settings import Settings


@pytest.fixture
async def settings(kafka_bootstrap: str) -> Settings:
    settings = Settings(kafka_bootstrap=kafka_bootstrap)
    await create_topics(settings)
    return settings
