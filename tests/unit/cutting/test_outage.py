"""What a worker says while Kafka is away."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from stream_app.cutting.outage import Outage


async def send(outage: Outage, acknowledged: asyncio.Event) -> None:
    with outage.noticed():
        await acknowledged.wait()


def waiting() -> float | None:
    return REGISTRY.get_sample_value("render_paused", {"part": "kafka"})


async def test_many_sends_that_wait_are_said_once_and_so_is_their_end() -> None:
    outage, acknowledged = Outage(say_after_s=0), asyncio.Event()
    with capture_logs() as lines:
        sends = [asyncio.create_task(send(outage, acknowledged)) for _ in range(4)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert [line["event"] for line in lines] == ["render_worker.paused"]
        assert waiting() == 4
        acknowledged.set()
        await asyncio.gather(*sends)
    assert [line["event"] for line in lines] == ["render_worker.paused", "render_worker.resumed"]
    assert waiting() == 0


@pytest.mark.parametrize("how", [asyncio.CancelledError, RuntimeError])
async def test_a_send_that_ends_in_time_says_nothing(how: type[BaseException]) -> None:
    with capture_logs() as lines:
        with pytest.raises(how), Outage().noticed():
            raise how
        with Outage().noticed():
            pass
    assert lines == []
