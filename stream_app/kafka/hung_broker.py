"""Have aiokafka get over a broker that hangs: it takes connections and requests, and answers none.

aiokafka has one time limit for everything, and fetching much or joining a group may well take long. Held to
that limit, the question who leads a partition waits for the hung broker whenever chance sends it there; so do
commits, and with them whoever commits between two records; and while a connection to it is being made, no
other one is. A healthy broker does all of these at once.

Importing this changes aiokafka's connection in place: Faust and aiokafka make their connections themselves,
and neither lets anybody hand them another class.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest

PATIENCE_S = 3.0
"""How long a connection may take to be made, and such a request to be answered; then aiokafka asks anew."""

PROMPT = (
    MetadataRequest,
    FindCoordinatorRequest,
    HeartbeatRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)
"""What is answered at once: nobody has to come first, as in joining a group, and little is sent."""

_connect = AIOKafkaConnection.connect
_send = AIOKafkaConnection.send


async def _connect_soon(self: AIOKafkaConnection) -> Any:
    return await asyncio.wait_for(_connect(self), PATIENCE_S)


def _send_impatiently(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Awaitable[Any]:  # noqa: FBT001, FBT002 - aiokafka's signature
    answer: Awaitable[Any] = _send(self, request, expect_response)
    return asyncio.wait_for(answer, PATIENCE_S) if isinstance(request, PROMPT) else answer


AIOKafkaConnection.connect = _connect_soon
AIOKafkaConnection.send = _send_impatiently
