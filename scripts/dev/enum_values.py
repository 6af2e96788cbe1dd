"""What each value of an enum means, read from the string that follows it in the source."""

import ast
import inspect
from enum import StrEnum
from itertools import pairwise
from textwrap import dedent
from typing import cast


def meanings(enum: type[StrEnum]) -> dict[str, str]:
    """Each value of `enum` with its docstring.

    Raises:
        ValueError: a value has none.
    """
    [definition] = ast.parse(dedent(inspect.getsource(enum))).body
    described = {}
    for statement, following in pairwise(cast("ast.ClassDef", definition).body):
        match statement, following:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                described[enum[name].value] = " ".join(text.split())
    if missing := [member.value for member in enum if member.value not in described]:
        raise ValueError(f"{enum.__name__}: say what {missing} mean, in a string after each value")
    return described
