"""What was last found behind an address, kept beside the cache's files."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from stream_app.sources.source_file import ByteSpan
from stream_app.sources.validator import Validator

_FILE = "known.json"

_SIGNATURES = ("x-amz-", "x-goog-")
_SIGNED = frozenset({"signature", "expires", "policy", "key-pair-id"})
"""Parameters that Amazon's, Google's and CloudFront's signed addresses add: they change while the content
does not, and choose nothing of it."""


@dataclass(frozen=True)
class Known:
    """What an address was found to be.

    Attributes:
        validator: what its server says of the content.
        url: where it was in the end, after redirects.
        identity: names the content, for the cache and for recipes.
        checked_at_ms: when the server was last asked, in ms since 1970-01-01 UTC.
    """

    validator: Validator
    url: str
    identity: str
    checked_at_ms: int

    def is_fresh(self, now_ms: int, fresh_ms: int) -> bool:
        """Whether the server need not be asked again yet. A clock that was set back makes nothing fresh."""
        return 0 <= now_ms - self.checked_at_ms < fresh_ms

    def save(self, folder: Path, draft: Path) -> None:
        """Note it in `folder`, by way of `draft`.

        Raises:
            OSError: it cannot be written.
        """
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> "Known | None":
        """What was noted in `folder`, if anything that can be read."""
        try:
            record = json.loads((folder / _FILE).read_bytes())
            return cls(**(record | {"validator": Validator(**record["validator"])}))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None


def identity_by_validator(address: str, validator: Validator, window: ByteSpan | None) -> str:
    """Names content by what its server says of it; `validator` has to be a strong one.

    A validator means something for its own address only: two files of one size and second, or two servers'
    `"1"`, are not the same. So the address is part of the name, with its query, which may choose the content,
    but without what only signs it. What one address redirects to may move without being other content.
    """
    record = [_unsigned(address), validator.identity, validator.size, window]
    return f"http-{hashlib.sha256(json.dumps(record).encode()).hexdigest()}"


def identity_by_content(sha256: str) -> str:
    """Names content by itself, where its server says nothing to go by."""
    return f"sha256-{sha256}"


def _unsigned(address: str) -> str:
    parts = urlsplit(address)
    query = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name.lower() not in _SIGNED and not name.lower().startswith(_SIGNATURES)
    ]
    return f"{parts.scheme.lower()}://{parts.netloc}{parts.path}?{json.dumps(query)}"
