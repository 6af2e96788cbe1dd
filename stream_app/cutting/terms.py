"""What a cutting process is told when it is started: one argument, as JSON."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

Isolation = Literal["bwrap+rlimits", "rlimits"]
"""What stands between a cutting process and the rest of the system, as events tell it.

`bwrap+rlimits`: bubblewrap (no network, no processes but its own, nothing to read but programs and sources,
nothing to write but the store) and resource limits. `rlimits`: a process of its own with resource limits.
"""


@dataclass(frozen=True)
class Terms:
    """The terms that a cutting process works under.

    Attributes:
        store: the folder `clips`, with every link resolved.
        owner: begins the names of its temporary files; see `new_owner`.
        isolation: what it runs in.
        max_pixels: a source with frames of more pixels is refused.
        parent: process id of the worker, to end with it; None where bubblewrap sees to that, and where no
            process outside can be seen.
    """

    store: Path
    owner: str
    isolation: Isolation
    max_pixels: int
    parent: int | None

    def to_argument(self) -> str:
        """As one command-line argument."""
        return _TERMS.dump_json(self).decode()

    @classmethod
    def of_argument(cls, argument: str) -> "Terms":
        """Those of `to_argument`."""
        return _TERMS.validate_json(argument)


_TERMS = TypeAdapter(Terms)


def new_owner() -> str:
    """A name for a child's files that begins with our process id: the child lives no longer than we do.

    The child's own id would tell nobody anything, because in a sandbox every child has the same.
    """
    return f"{os.getpid()}-{secrets.token_hex(4)}"
