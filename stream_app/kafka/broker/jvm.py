"""Command lines for the Java virtual machine."""

from stream_app.kafka.broker.jars import class_path
from stream_app.kafka.broker.java import Java
from stream_app.kafka.broker.place import BrokerPlace, ProgramPlace
from stream_app.kafka.broker.process import MAIN_CLASS
from stream_app.kafka.broker.properties import HEAP

_QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""One user's broker is idle most of the time: start quickly, stay small."""

_HONEST = ("-XX:+ExitOnOutOfMemoryError", "-Xlog:disable", "-Xlog:all=error:stderr")
"""A broker out of memory ends, rather than half work; its log is not about class archives."""

_LOGGING = tuple(
    f"-Dorg.slf4j.simpleLogger.{name}={value}"
    for name, value in {
        "defaultLogLevel": "warn",
        "showDateTime": "true",
        "dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "showThreadName": "false",
    }.items()
)


def broker_command(java: Java, program: ProgramPlace, place: BrokerPlace, *extra: str) -> list[str]:
    """The broker of `place`; the path of its settings comes last, and is what it is known again by."""
    return [*_java(java, program, *HEAP, *extra), MAIN_CLASS, str(place.properties)]


def storage_tool(java: Java, program: ProgramPlace, *extra: str) -> list[str]:
    """The tool that formats a data folder, without its arguments."""
    return [*_java(java, program, *extra), "kafka.tools.StorageTool"]


def _java(java: Java, program: ProgramPlace, *options: str) -> list[str]:
    return [str(java.path), *options, *_QUICK, *_HONEST, *_LOGGING, "-cp", class_path(program)]
