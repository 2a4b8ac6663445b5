"""Where webhooks arrive: one unguessable path each, verified, limited, answered after the commit. And feeds leave.

Nothing of a body, a header or a path is written to a log here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mappers.mapping.faults import RefusedError, UnusableError
from mappers.mapping.message import Message
from mappers.runtime.clock import Clock
from mappers.runtime.faults import NotNowError, RejectedError, SetupError
from mappers.runtime.feeds import Feeds
from mappers.runtime.pace import Pace

MOST_BYTES = 1024 * 1024
_SHORTEST_PATH = 24
_FEEDS_PER_MINUTE = 60
_LONGEST_TOKEN = 100
_RETRY_AFTER = {"Retry-After": "30"}


@dataclass(slots=True)
class Hook:
    """`path`: so long that nobody guesses it. `take`: ends when all of it is committed."""

    path: str = field(repr=False)
    verify: Callable[[Mapping[str, str], bytes, datetime], None]
    take: Callable[[Message], Awaitable[object]]
    most_per_minute: int = 600
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        if len(self.path) < _SHORTEST_PATH:
            raise SetupError(f"The path of a webhook has at least {_SHORTEST_PATH} characters that nobody guesses.")
        self.pace = Pace(self.most_per_minute)


@dataclass(frozen=True, slots=True)
class Reception:
    hooks: Sequence[Hook]
    clock: Clock

    async def receive(self, request: Request) -> Response:
        """200 once committed; 401 unsigned; 413; 429; 503 come again; 404 for any other path."""
        path = request.path_params["path"]
        hook = next((hook for hook in self.hooks if compare_digest(hook.path.encode(), path.encode())), None)
        if hook is None:
            return Response(status_code=404)
        now = self.clock()
        if hook.pace.is_too_much(now):
            return Response(status_code=429, headers=_RETRY_AFTER)
        raw = await _body(request)
        if raw is None:
            return Response(status_code=413)
        return await self._taken(hook, request.headers, raw, now)

    async def _taken(self, hook: Hook, headers: Mapping[str, str], raw: bytes, now: datetime) -> Response:
        try:
            hook.verify({name.lower(): value for name, value in headers.items()}, raw, now)
            await hook.take(Message(raw, now))
        except RefusedError:
            return Response(status_code=401)
        except UnusableError:
            return Response(status_code=400)
        except (NotNowError, RejectedError, SetupError):
            return Response(status_code=503, headers=_RETRY_AFTER)
        return Response(status_code=200)

    async def healthy(self, request: Request) -> Response:
        return Response("ready\n", media_type="text/plain")


@dataclass(frozen=True, slots=True)
class Outlet:
    """Calendars that say when somebody is taken, to who has the link."""

    feeds: Feeds
    pace: Pace = field(default_factory=lambda: Pace(_FEEDS_PER_MINUTE))

    async def calendar(self, request: Request) -> Response:
        """200; 404 for a link that is none or was taken back; 429; 503 come again."""
        if self.pace.is_too_much(self.feeds.clock()):
            return Response(status_code=429, headers=_RETRY_AFTER)
        try:
            found = await self.feeds.calendar(request.path_params["token"][:_LONGEST_TOKEN])
        except (NotNowError, RejectedError, SetupError):
            return Response(status_code=503, headers=_RETRY_AFTER)
        if found is None:
            return Response(status_code=404)
        return Response(found, media_type="text/calendar", headers={"Cache-Control": "private, max-age=300"})


def build_app(hooks: Sequence[Hook], clock: Clock, feeds: Feeds | None = None) -> Starlette:
    reception = Reception(hooks, clock)
    return Starlette(
        routes=[
            Route("/hooks/{path}", reception.receive, methods=["POST"]),
            *([Route("/feeds/{token}.ics", Outlet(feeds).calendar, methods=["GET"])] if feeds else []),
            Route("/health", reception.healthy, methods=["GET"]),
        ]
    )


async def _body(request: Request) -> bytes | None:
    """None where it is too large; whoever breaks off has sent nothing."""
    found = bytearray()
    try:
        async for part in request.stream():
            found += part
            if len(found) > MOST_BYTES:
                return None
    except ClientDisconnect:
        return None
    return bytes(found)
