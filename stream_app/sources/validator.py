"""What names the content behind an address, so that a change of it is seen."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Validator:
    """What a server says that tells one content from another. An ETag means something for its address only.

    Attributes:
        etag: as the server sent it, `W/` of a weak one included.
        last_modified: as the server sent it; an HTTP date.
        size: bytes of the whole content.
    """

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None

    @property
    def is_strong(self) -> bool:
        """Whether two answers that agree in it are parts of the same bytes."""
        return _is_strong(self.etag) or (self.last_modified is not None and self.size is not None)

    @property
    def identity(self) -> str:
        """A stable text that changes with the content; empty when the server says nothing to go by."""
        if _is_strong(self.etag):
            return f"etag:{self.etag}"
        if self.etag is None and self.last_modified is None:
            return ""
        return f"etag:{self.etag or ''} modified:{self.last_modified or ''} size:{self.size or ''}"

    def agrees_with(self, other: "Validator") -> bool:
        """Whether nothing that both know of tells them apart."""
        if _differ(self.size, other.size):
            return False
        if _is_strong(self.etag) and _is_strong(other.etag):
            return self.etag == other.etag
        return not (
            _differ(_opaque(self.etag), _opaque(other.etag))
            or _differ(self.last_modified, other.last_modified)
        )

    def if_range(self) -> dict[str, str]:
        """Headers that ask for a range of this content only; none when it cannot be told for sure."""
        if _is_strong(self.etag):
            return {"If-Range": self.etag or ""}
        return {"If-Range": self.last_modified} if self.is_strong and self.last_modified else {}

    def if_changed(self) -> dict[str, str]:
        """Headers that ask for other content than this only."""
        if self.etag is not None:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified is not None else {}


def validator_of(headers: Mapping[str, str], size: int | None) -> Validator:
    """The validator in the head of an answer."""
    return Validator(headers.get("ETag"), headers.get("Last-Modified"), size)


def _is_strong(etag: str | None) -> bool:
    return etag is not None and not etag.startswith("W/")


def _opaque(etag: str | None) -> str | None:
    return etag.removeprefix("W/") if etag is not None else None


def _differ(one: object, other: object) -> bool:
    return one is not None and other is not None and one != other
