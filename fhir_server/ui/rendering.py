"""Pages as HTML: Jinja2, every value escaped, and the headers that hold a page together.

CSP Level 3; OWASP ASVS 5 chapter 3. No inline script and no inline style; nothing is framed, cached or told elsewhere.
"""

import base64
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from fhir_server.ui.language import LANGUAGES, Words

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_TO_US = "; form-action 'self'"


def headers(*, answers_client: bool) -> dict[str, str]:
    """`answers_client`: the form may end in a redirect to the client, which Chromium counts as a place a form goes to.

    Referrer-Policy is not `no-referrer`: with it a browser sends `Origin: null` along with our own forms. An older
    address never leaves the site under `same-origin` either.
    """
    return {
        "Content-Security-Policy": _POLICY if answers_client else _POLICY + _TO_US,
        "Cache-Control": "no-store",
        "Pragma": "no-cache",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


class Renderer:
    def __init__(self, clinic_name: str, root: str) -> None:
        self._environment = Environment(
            loader=PackageLoader("fhir_server.ui"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {"clinic": clinic_name, "root": root, "languages": LANGUAGES}
        self._environment.filters |= {"moment": _moment, "machine_moment": _machine_moment, "base64url": _base64url}

    def page(
        self,
        template: str,
        words: Words,
        values: Mapping[str, object],
        *,
        status: int = 200,
        answers_client: bool = False,
    ) -> HTMLResponse:
        text = self._environment.get_template(f"{template}.html").render(t=words, **values)
        return HTMLResponse(text, status, headers(answers_client=answers_client))


def redirect(address: str) -> Response:
    """By GET, whatever brought us here (303)."""
    return RedirectResponse(address, 303, headers(answers_client=True))


def given(media_type: str, length: int, parts: AsyncIterator[bytes]) -> Response:
    """Shown where a browser can show it. The type is what the bytes were found to be, so none is a page."""
    said = {**headers(answers_client=False), "Content-Length": str(length), "Content-Disposition": "inline"}
    return StreamingResponse(parts, headers=said, media_type=media_type)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _machine_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
