"""Lists come in pages: a page says with which cursor the next one is had."""

import re
from typing import Annotated

from fastapi import Query

from stream_app.api.problems import Problem, invalid
from topics.events import FieldError

Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]


def number_in(cursor: str) -> int:
    """The number that a page begins with.

    Raises:
        Problem: 422, there is none in it.
    """
    if not re.fullmatch("[0-9]{1,18}", cursor, re.ASCII):
        raise no_cursor()
    return int(cursor)


def no_cursor() -> Problem:
    """What was sent as a cursor was never given out as one: 422."""
    message = "is no cursor of ours: leave it out to begin anew"
    return invalid([FieldError(path="/query/cursor", code="bad_cursor", message=message)])
