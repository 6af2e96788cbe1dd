"""What the command line can do. The module of a command is imported only when that one is asked for."""

from collections import UserDict
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "render": "render.render",
    "worker": "worker.worker",
    "serve": "serve.serve",
    "submit": "requests.submit",
    "watch": "requests.watch",
    "top": "top.top",
    "cancel": "requests.cancel",
    "revise": "revise.revise",
    "mixes": "requests.mixes",
    "show": "requests.show",
    "events": "requests.events",
    "sql": "sql.sql",
    "replay": "replay.replay",
    "export-log": "replay.export_log",
    "what-if": "what_if.what_if",
    "gc": "gc.gc",
    "doctor": "doctor.doctor",
    "config": "config.config_app",
    "dlq": "dlq.dlq_app",
    "kafka": "kafka.kafka_app",
    "topics": "kafka.topics_app",
}
"""For each name that a user types, the function or the group of commands, as module.name in this package.

Importing all of them takes 1.3 to 2 s, a worker's faust and the API's FastAPI for the most part.
"""


class Commands(TyperGroup):
    """All commands, in the order in which the help shows them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Loaded(COMMANDS)


class _Loaded(UserDict[str, Any]):
    """The commands by name, each made when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = super().__getitem__(name).rpartition(".")
        found = getattr(import_module(f"stream_app.cli.{module}"), attribute)
        alone = typer.Typer(callback=lambda: None)
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=name)
        else:
            alone.command(name)(found)
        return typer.main.get_group(alone).commands[name]
