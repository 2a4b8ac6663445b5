"""The stylesheet, the icon and the one script, out of the package.

Fixed names, read once: no path of a request ever reaches the file system.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response

FILES: Mapping[str, str] = MappingProxyType(
    {"style.css": "text/css", "passkey.js": "text/javascript", "icon.svg": "image/svg+xml"}
)


async def static(request: Request) -> Response:
    """Nothing of it is anybody's, so a browser may keep it for an hour."""
    name = request.url.path.rpartition("/")[2]
    return Response(_content(name), headers={"Cache-Control": "public, max-age=3600"}, media_type=FILES[name])


@cache
def _content(name: str) -> bytes:
    return files("fhir_server.ui").joinpath("static", name).read_bytes()
