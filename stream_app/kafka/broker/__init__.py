"""A real Apache Kafka on a machine that has none: no Docker, no root, no Maven, no Java of its own."""

from stream_app.kafka.broker.errors import BrokerError
from stream_app.kafka.broker.server import Broker, BrokerNode, start, status, stop
from stream_app.settings import default_home

__all__ = ["Broker", "BrokerError", "BrokerNode", "default_home", "start", "status", "stop"]
