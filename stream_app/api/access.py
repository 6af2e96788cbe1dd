"""Who may ask what: bearer tokens with a role, or, without any token, programs of this machine alone."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from stream_app.api.problems import Problem, problem_response
from stream_app.domain.errors import UsageError
from stream_app.settings import Settings

OPEN_PATHS = {"/healthz", "/readyz", "/docs", "/openapi.json"}
OPEN_BELOW = "/docs/"
"""What anybody may read: whether it lives, and how it is to be asked."""

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
"""Names under which only programs of this machine reach it."""

READING = {"GET", "HEAD", "OPTIONS"}
OPERATORS_ONLY = {"/api/v1/sql"}
"""What changes nothing and still is not for everybody: a query takes a core for seconds."""

NOBODY = "api"
"""Who asks while there are no tokens."""

MIN_SECRET = 16
FORM = "name:role:secret, with role read or operate"
_HASHED = re.compile(r"sha256:(?P<digest>[0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Role(IntEnum):
    """What a token is good for; the higher one includes the lower."""

    READ = 1
    OPERATE = 2


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept: its secret only as a hash."""

    name: str
    role: Role
    digest: bytes


class Tokens:
    """Every token that is good."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens

    def __bool__(self) -> bool:
        return bool(self._tokens)

    @classmethod
    def of(cls, settings: Settings) -> "Tokens":
        """Those of `RENDER_API_TOKENS` and of the file `RENDER_API_TOKENS_FILE`.

        Raises:
            UsageError: one cannot be used. The message says which by its number, never what it is.
        """
        typed = settings.api_tokens.get_secret_value().split(",") if settings.api_tokens else []
        found = [_token(entry.strip(), f"RENDER_API_TOKENS, entry {n}") for n, entry in enumerate(typed, 1)]
        if settings.api_tokens_file:
            found += _tokens_in(settings.api_tokens_file)
        if len({token.name for token in found}) < len(found):
            raise UsageError("two API tokens have the same name: give each its own, to tell who did what")
        return cls(tuple(found))

    def find(self, secret: str) -> Token | None:
        """The token with that secret. Each is compared, in a time that tells nothing of it."""
        digest = _digest(secret)
        good = [token for token in self._tokens if hmac.compare_digest(token.digest, digest)]
        return good[0] if good else None


def actor_of(request: Request) -> str:
    """Who asks: the name of the token, or `api` while there are none."""
    return str(getattr(request.state, "actor", NOBODY))


class LoopbackOnly:
    """Middleware for a server without tokens: answers those who call it by a loopback name.

    A page of another site that has got its name to mean our address (DNS rebinding) still calls us by it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or tell a 421."""
        host = _host_of(scope) if scope["type"] == "http" else None
        if scope["type"] == "http" and host not in LOOPBACK:
            detail = (
                f"without tokens it answers for {', '.join(sorted(LOOPBACK))}, not for {host or 'no host'}: "
                "see RENDER_API_TOKENS"
            )
            await problem_response(Problem(421, detail))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host_of(scope: Scope) -> str | None:
    """The name in the header Host, without its port."""
    try:
        return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
    except ValueError:
        return None


class Guard:
    """Middleware: lets nobody in without a good token whose role suffices.

    It stands before every path, those that do not exist included, so that none can be forgotten.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed, and tell a 401 or a 403 otherwise."""
        if scope["type"] != "http" or _is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        allowed = self._judge(scope)
        if isinstance(allowed, Problem):
            await problem_response(allowed)(scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = allowed.name
        await self._app(scope, receive, send)

    def _judge(self, scope: Scope) -> Token | Problem:
        scheme, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        token = self._tokens.find(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            detail = "send a good token: Authorization: Bearer ..."
            return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
        reads = scope["method"] in READING and scope["path"] not in OPERATORS_ONLY
        if token.role < (Role.READ if reads else Role.OPERATE):
            challenge = 'Bearer error="insufficient_scope"'
            detail = "this token may read; this takes one with the role operate"
            return Problem(403, detail, headers={"WWW-Authenticate": challenge})
        return token


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_BELOW)


def _tokens_in(path: Path) -> list[Token]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"RENDER_API_TOKENS_FILE={path} cannot be read: {error}") from error
    return [
        _token(line.strip(), f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _token(entry: str, where: str) -> Token:
    name, _, rest = entry.partition(":")
    role, _, secret = rest.partition(":")
    if not _NAME.fullmatch(name) or role.upper() not in Role.__members__:
        raise UsageError(f"{where}: a token is written {FORM}")
    hashed = _HASHED.fullmatch(secret)
    if hashed is None and (len(secret) < MIN_SECRET or not secret.isascii() or " " in secret):
        raise UsageError(
            f"{where}: the secret of {name} must have {MIN_SECRET} ASCII characters or more and no space, "
            "or be sha256: with the 64 hex digits of its hash"
        )
    digest = bytes.fromhex(hashed["digest"]) if hashed else _digest(secret)
    return Token(name, Role[role.upper()], digest)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
