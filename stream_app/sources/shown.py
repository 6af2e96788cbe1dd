"""Addresses as people may see them: in messages, events and logs."""

import re

from yarl import URL

MAX_SHOWN = 300
"""Characters of an address in a message; a path may be as long as a server likes."""

_SECRETS = re.compile(r"(?<=//)[^/?#]*@|[?#].*", re.DOTALL)


def shown(address: str | URL) -> str:
    """`address`, be it a correct one or not, without user, query and fragment, where tokens are."""
    text = _SECRETS.sub("", str(address))
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
