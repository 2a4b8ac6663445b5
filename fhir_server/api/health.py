"""Is the process up? Says nothing of the clinic, and asks nothing of the database.

Kubernetes and compose health checks call it without a token.
"""

from starlette.requests import Request
from starlette.responses import Response


async def health(request: Request) -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")
