"""Small mixes of small sources, and a ledger of those that Kafka has acknowledged."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

FPS, SECONDS = 30, 60
WIDTH, HEIGHT = 160, 90
SOURCES = 3
BT709_LIMITED = 1
"""BT.709 and the limited range have the same number (ITU-T H.273)."""

LINES, LINE_MS = 12, 500
SEND_TIMEOUT_S = 180


def make_sources(folder: Path) -> None:
    """Sources whose every picture tells which one it is: the verifier reads it (verifier/stamp.py)."""
    for number in range(SOURCES):
        with av.open(str(folder / f"grey-{number}.mp4"), "w") as container:
            stream = container.add_stream(
                "libx264", rate=FPS, options={"preset": "ultrafast", "g": "15", "crf": "10"}
            )
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            coder = stream.codec_context
            # Said aloud: else so small a picture is taken for BT.601, and its colours are converted.
            coder.colorspace = coder.color_primaries = coder.color_trc = coder.color_range = BT709_LIMITED
            for index in range(FPS * SECONDS):
                container.mux(stream.encode(_picture(number, index)))
            container.mux(stream.encode(None))


def _picture(source: int, frame: int) -> av.VideoFrame:
    """Left the number of the frame modulo 32, right what 32 goes into it, the source in the colour."""
    picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    luma, blue, red = picture.planes
    left, right = (bytes([level]) * (WIDTH // 2) for level in (40 + 5 * (frame % 32), 40 + 3 * (frame // 32)))
    luma.update((left + right).ljust(luma.line_size, b"\x10") * HEIGHT)
    blue.update(bytes([88 + 40 * source]) * blue.buffer_size)
    red.update(bytes([128]) * red.buffer_size)
    return picture


def mix(number: int, sources: Path, *, name: str = "load", lines: int = LINES) -> dict[str, Any]:
    """A mix of `lines` lines; each of its clips is cut from a span of its own, so that none is recalled."""

    def candidate(line: int) -> dict[str, Any]:
        cut = number * lines + line
        source = cut % SOURCES
        return {
            "video_id": f"grey-{source}",
            "uri": f"file://{sources}/grey-{source}.mp4",
            "start_ms": cut * 34 % ((SECONDS - 2) * 1000),
        }

    return {
        "mix_id": f"{name}-{number}",
        "profile": {"width": WIDTH, "height": HEIGHT, "fps": str(FPS), "quality": "draft"},
        "lines": [
            {
                "text": f"line {line}",
                "start_ms": line * LINE_MS,
                "end_ms": (line + 1) * LINE_MS,
                "candidates": [candidate(line)],
            }
            for line in range(lines)
        ],
    }


class Ledger:
    """One line for each acknowledged request, on the disk before the next one is sent."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entry: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    @property
    def mixes(self) -> set[str]:
        if not self.path.exists():
            return set()
        return {json.loads(line)["mix_id"] for line in self.path.read_text().splitlines()}


def send(
    bootstrap: str, ledger: Ledger, requests: Iterable[dict[str, Any]], *, pace_s: float = 0, **expected: Any
) -> None:
    """Send requests one after the other, each until Kafka has it, and note each; wait `pace_s` after each."""
    asyncio.run(asyncio.wait_for(_send(bootstrap, ledger, requests, expected, pace_s), SEND_TIMEOUT_S))


async def _send(
    bootstrap: str,
    ledger: Ledger,
    requests: Iterable[dict[str, Any]],
    expected: dict[str, Any],
    pace_s: float,
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for request in requests:
            value = json.dumps(request).encode()
            sent = await _acknowledged(producer, request["mix_id"].encode(), value)
            ledger.write(
                {
                    "mix_id": request["mix_id"],
                    "record": f"mix-requests/{sent.partition}/{sent.offset}",
                    "sha256": hashlib.sha256(value).hexdigest(),
                    "at_ms": time.time_ns() // 1_000_000,
                    **expected,
                }
            )
            await asyncio.sleep(pace_s)


def send_raw(bootstrap: str, key: bytes | None, value: bytes | None) -> None:
    """Send a record that need not be a request; the ledger says nothing of it."""

    async def send_it() -> None:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            await producer.send_and_wait("mix-requests", value, key)

    asyncio.run(asyncio.wait_for(send_it(), SEND_TIMEOUT_S))


def log_end(bootstrap: str) -> int:
    """The ends of all partitions of the log, added up."""

    async def ask() -> int:
        async with AIOKafkaConsumer("mix-events", bootstrap_servers=bootstrap) as consumer:
            return sum((await consumer.end_offsets(list(consumer.assignment()))).values())

    return asyncio.run(asyncio.wait_for(ask(), SEND_TIMEOUT_S))


async def _acknowledged(producer: AIOKafkaProducer, key: bytes, value: bytes) -> Any:
    while True:
        try:
            return await producer.send_and_wait("mix-requests", value, key)
        except KafkaError:
            # The same request twice is one mix.
            await asyncio.sleep(0.5)
