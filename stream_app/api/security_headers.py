"""Headers that keep a browser from doing with an answer what it is not for."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Nobody guesses that JSON is a page.
    "X-Content-Type-Options": "nosniff",
    # No other site shows our videos or frames our pages.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    # An answer is true when it is given; what may be kept says so itself.
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Middleware: adds `HEADERS`, except those that the answer has already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add to the start of each answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
