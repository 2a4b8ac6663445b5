"""One request to a page: which browser, who is signed in there or half, what a client waits for, in which language."""

from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.requests import Request

from fhir_server.kernel.errors import ForbiddenError
from fhir_server.smart.approval import Pending
from fhir_server.smart.signin.proofs import Place
from fhir_server.smart.signin.sessions import SignIn
from fhir_server.smart.signin.users import User
from fhir_server.ui import cookies, forms
from fhir_server.ui.cookies import Cookies
from fhir_server.ui.forms import Form
from fhir_server.ui.language import LANGUAGES, Words, chosen
from fhir_server.ui.surface import Surface

_MOST_REQUEST_ID = 200


@dataclass(frozen=True, slots=True)
class Signed:
    """Somebody with the sign-in that says so."""

    user: User
    sign_in: SignIn


@dataclass(frozen=True, slots=True)
class Visit:
    """`browser` is the strongest secret that this browser holds: what its forms are tied to.

    `visit` is the one it was given now, where it had none of any kind. `pending` is None without a request and for an
    unknown one; `asked` tells the two apart.
    """

    place: Place
    browser: str = field(repr=False)
    visit: str | None = field(repr=False)
    words: Words
    language: str | None
    asked: str | None
    pending: Pending | None
    signed: Signed | None
    begun: Signed | None
    form: Form
    path: str
    link: str = field(default="", repr=False)
    wanted_form: str = ""
    wanted_version: str = ""

    @property
    def kept(self) -> str:
        """What the same page in another language is asked for with."""
        given = {"link": self.link, "form": self.wanted_form, "version": self.wanted_version}
        return "".join(f"&{name}={quote(value, safe='')}" for name, value in given.items() if value)


async def visit(surface: Surface, request: Request) -> Visit:
    """Raises ForbiddenError for a form that is not of this browser and from our page."""
    jar = Cookies(secure=surface.secure)
    posted = request.method == "POST"
    if posted:
        forms.require_same_site(request, surface.origin)
    form = await forms.read(request) if posted else Form()
    session, begun = jar.read(request, cookies.SESSION), jar.read(request, cookies.BEGUN)
    signed, half = await _signed(surface, session, complete=True), await _signed(surface, begun, complete=False)
    seen = jar.read(request, cookies.VISIT)
    fresh = None if seen or signed or half else surface.door.outside.new_secret()
    browser = (session if signed else None) or (begun if half else None) or seen or fresh or ""
    asked = (form.get("request") or request.query_params.get("request", ""))[:_MOST_REQUEST_ID] or None
    pending = await surface.authorizations.pending(asked) if asked and surface.authorizations else None
    wanted = request.query_params.get("lang")
    wanted = wanted if wanted in LANGUAGES else None
    spoken = chosen(
        wanted or jar.read(request, cookies.LANGUAGE),
        pending.ui_locales if pending else (),
        request.headers.get("accept-language", ""),
    )
    if posted and not surface.door.binding.is_form(form.get(forms.TOKEN), browser):
        raise ForbiddenError("The form is not of this browser, or too old.")
    return Visit(
        place=Place(
            request.client.host if request.client else "",
            request.headers.get("user-agent", ""),
            jar.read(request, cookies.DEVICE),
        ),
        browser=browser,
        visit=fresh,
        words=Words(spoken),
        language=wanted,
        asked=asked,
        pending=pending,
        signed=signed,
        begun=half,
        form=form,
        path=request.url.path,
        link=_asked_for(request, form, "link"),
        wanted_form=_asked_for(request, form, "form"),
        wanted_version=_asked_for(request, form, "version"),
    )


def _asked_for(request: Request, form: Form, name: str) -> str:
    return (form.get(name) or request.query_params.get(name, ""))[:_MOST_REQUEST_ID]


async def _signed(surface: Surface, secret: str | None, *, complete: bool) -> Signed | None:
    """A sign-in of somebody who may still sign in."""
    found = await surface.door.sessions.find(secret)
    user = await surface.door.users.get(found.user) if found and found.complete is complete else None
    return Signed(user, found) if found and user and user.active else None
