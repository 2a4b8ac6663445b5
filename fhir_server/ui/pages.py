"""The pages as a table, and the one place where their answers become HTTP.

Issue "SMART on FHIR"; OWASP ASVS 5 chapters 3 and 7.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.kernel.errors import FhirError, ForbiddenError, MethodNotAllowedError
from fhir_server.ui import (
    account_pages,
    consent_page,
    context_pages,
    cookies,
    factor_pages,
    notice_page,
    own_factor_pages,
    shared_page,
    sign_in_page,
    signing_page,
    withdrawal_page,
)
from fhir_server.ui.answers import Answer, Give, Go, Show
from fhir_server.ui.cookies import Cookies
from fhir_server.ui.language import Words, chosen
from fhir_server.ui.rendering import Renderer, given, redirect
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Visit, visit

Handler = Callable[[Surface, Visit], Awaitable[Answer | Give]]

TABLE: Mapping[str, Mapping[str, Handler]] = {
    "sign-in": {"GET": sign_in_page.get, "POST": sign_in_page.post},
    "again": {"GET": account_pages.prove_again},
    "second-factor": {"GET": factor_pages.get, "POST": factor_pages.post},
    "recovery": {"GET": factor_pages.get_recovery, "POST": factor_pages.post_recovery},
    "new-password": {"GET": own_factor_pages.get_password, "POST": own_factor_pages.post_password},
    "enrol": {"GET": own_factor_pages.get_enrol, "POST": own_factor_pages.post_enrol},
    "role": {"GET": context_pages.get_role, "POST": context_pages.post_role},
    "patient": {"GET": context_pages.get_patient, "POST": context_pages.post_patient},
    "consent": {"GET": consent_page.get, "POST": consent_page.post},
    "sign": {"GET": signing_page.get, "POST": signing_page.post},
    "withdraw": {"GET": withdrawal_page.get, "POST": withdrawal_page.post},
    "shared": {"GET": shared_page.get, "POST": shared_page.post},
    "notice": {"GET": notice_page.get},
    "cancel": {"POST": consent_page.cancel},
    "account": {"GET": account_pages.get, "POST": account_pages.post},
    "sign-out": {"POST": account_pages.sign_out},
}
PATHS = tuple(f"/auth/{page}" for page in TABLE)


class Pages:
    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._cookies = Cookies(secure=surface.secure)
        self._renderer = Renderer(surface.clinic_name, surface.root)

    async def answer(self, request: Request) -> Response:
        methods = TABLE[request.url.path.rpartition("/")[2]]
        try:
            handler = methods.get("GET" if request.method == "HEAD" else request.method)
            if handler is None:
                raise MethodNotAllowedError("This page is not asked for in this way.", allow=sorted(methods))
            seen = await visit(self._surface, request)
            return self._written(seen, await handler(self._surface, seen))
        except FhirError as failure:
            return self._fault(request, failure)

    def _written(self, seen: Visit, answer: Answer | Give) -> Response:
        if isinstance(answer, Give):
            return given(answer.media_type, answer.length, answer.parts)
        response = redirect(answer.address) if isinstance(answer, Go) else self._shown(seen, answer)
        kept = {cookies.VISIT: seen.visit, cookies.LANGUAGE: seen.language, **answer.set}
        for name, value in kept.items():
            if value is not None and name not in answer.drop:
                self._cookies.write(response, name, value)
        for name in answer.drop:
            self._cookies.drop(response, name)
        return response

    def _shown(self, seen: Visit, show: Show) -> Response:
        """Its forms are tied to what the browser holds once it has this answer."""
        browser = show.set.get(cookies.SESSION) or show.set.get(cookies.BEGUN) or seen.browser
        values = {
            "again": False,
            **show.values,
            "form_token": self._surface.door.binding.form(browser),
            "request_id": seen.pending.id if seen.pending else None,
            "signed": None if cookies.SESSION in show.drop else seen.signed,
            "fault": show.fault,
            "fault_field": show.field,
            "wait": show.wait,
            "path": seen.path,
            "kept": seen.kept,
        }
        response = self._renderer.page(
            show.template, seen.words, values, status=show.status, answers_client=seen.pending is not None
        )
        if show.wait:
            response.headers["Retry-After"] = str(show.wait)
        return response

    def _fault(self, request: Request, failure: FhirError) -> Response:
        """Said in plain words; what exactly it was helps nobody here but an attacker."""
        words = Words(
            chosen(self._cookies.read(request, cookies.LANGUAGE), (), request.headers.get("accept-language", ""))
        )
        key = "form-refused" if isinstance(failure, ForbiddenError) else "unavailable"
        if failure.status < _OURS and not isinstance(failure, ForbiddenError):
            key = "request-wrong"
        values: dict[str, object] = {
            "fault_key": key,
            "form_token": "",
            "request_id": None,
            "signed": None,
            "fault": None,
            "fault_field": None,
            "wait": None,
            "path": request.url.path,
            "kept": "",
            "again": False,
        }
        response = self._renderer.page("fault", words, values, status=failure.status)
        if isinstance(failure, MethodNotAllowedError):
            response.headers["Allow"] = ", ".join(failure.allow)
        return response


_OURS = 500
