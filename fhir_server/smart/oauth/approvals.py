"""A person's answer to an authorization request: what was granted of what was asked, or why nothing was.

RFC 6749 section 4.1.2; SMART App Launch 2.2 "Scopes and launch context". R-SMART-019, -020, -022 to -024, -051.
"""

from dataclasses import replace
from datetime import datetime

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidRequestError

from fhir_server.kernel.errors import NotFoundError
from fhir_server.kernel.identity import NewId
from fhir_server.smart import launch as launches
from fhir_server.smart.approval import Approval, Pending
from fhir_server.smart.grant import Code, Grant
from fhir_server.smart.oauth.answer import address, refused_address
from fhir_server.smart.oauth.asked import Asked, Caller
from fhir_server.smart.oauth.authorize import WAITING, AuthorizationRequests, Waiting, WrongPlaceError, decoded
from fhir_server.smart.oauth.code_grant import CODE_LIFETIME
from fhir_server.smart.oauth.server import Server
from fhir_server.smart.ports import Handles
from fhir_server.smart.scope_grants import covered

_DENIALS = frozenset(
    {"access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required"}
)


class DeniedError(OAuth2Error):  # type: ignore[misc]  # authlib has no types
    """Any of the codes with which a person, or the sign-in pages, can say no."""

    description = "It was not granted."

    def __init__(self, code: str) -> None:
        super().__init__(error=code if code in _DENIALS else "access_denied")


class Approvals:
    """Synchronous; `Authorization` offers it to the pages as `approval.Authorizations`."""

    def __init__(
        self, server: Server, requests: AuthorizationRequests, handles: Handles, issuer: str, new_id: NewId
    ) -> None:
        self._server, self._requests, self._handles = server, requests, handles
        self._issuer, self._new_id = issuer, new_id

    def pending(self, id: str, now: datetime) -> Pending | None:
        raw = self._handles.peek(WAITING, id, now)
        waiting = decoded(raw) if raw else None
        client = self._server.query_client(waiting.fields["client_id"]) if waiting else None
        if waiting is None or client is None:
            return None
        fields, launched = waiting.fields, waiting.launched
        return Pending(
            id,
            client.client_id,
            client.name,
            waiting.scopes,
            waiting.needs_patient,
            launched.patient if launched else None,
            launched.encounter if launched else None,
            tuple(fields.get("prompt", "").split()),
            fields.get("login_hint"),
            int(fields["max_age"]) if "max_age" in fields else None,
            tuple(fields.get("ui_locales", "").split()),
            waiting.expires,
        )

    def approve(self, id: str, approval: Approval, caller: Caller) -> tuple[str, Asked]:
        """The address with the code, or with the error where it cannot be granted after all; and what was decided."""
        waiting, asked, redirect_uri = self._taken(id, caller)
        try:
            # Checked again: the client may have been changed meanwhile.
            consent = self._server.get_consent_grant(asked)
            asked.grant = self._granted(waiting, approval, asked)
            code = consent.create_authorization_response(redirect_uri, asked.grant)
        except OAuth2Error as error:
            asked.refused = error
            return refused_address(redirect_uri, self._issuer, asked.payload.state, error), asked
        return address(redirect_uri, self._issuer, asked.payload.state, {"code": code}), asked

    def deny(self, id: str, error: str, caller: Caller) -> tuple[str, Asked]:
        _, asked, redirect_uri = self._taken(id, caller)
        asked.refused = DeniedError(error)
        return refused_address(redirect_uri, self._issuer, asked.payload.state, asked.refused), asked

    def _taken(self, id: str, caller: Caller) -> tuple[Waiting, Asked, str]:
        """Each request is answered once. With it, the place to answer to, which is checked again."""
        raw = self._handles.take(WAITING, id, caller.now)
        if raw is None:
            raise NotFoundError("The authorization request was answered, or has lapsed.")
        waiting = decoded(raw)
        asked = Asked("GET", f"{self._issuer}/auth/authorize", {}, waiting.pairs, caller)
        try:
            _, redirect_uri = self._requests.place(asked)
        except WrongPlaceError:
            raise NotFoundError("The app is not registered any more.") from None
        return waiting, asked, redirect_uri

    def _granted(self, waiting: Waiting, approval: Approval, asked: Asked) -> Grant:
        fields, patient, encounter = waiting.fields, approval.patient, approval.encounter
        # Who leaves the scope out shares nothing of the launch.
        launched = waiting.launched if "launch" in approval.scopes else None
        if launched:
            # Taken up now, by one request alone.
            if self._handles.take(launches.HANDLE, fields["launch"], asked.now) is None:
                raise InvalidRequestError("The launch was used before, or has expired.")
            if launched.user and launched.user != approval.fhir_user:
                raise AccessDeniedError("The launch was made for somebody else.")
            patient, encounter = launched.patient or patient, launched.encounter or encounter
        scopes = _allowed(approval.scopes, waiting.scopes, patient, encounter)
        if not scopes:
            raise AccessDeniedError("Nothing of what was asked for was granted.")
        client = self._server.query_client(fields["client_id"])
        code = Code(fields["redirect_uri"], fields["code_challenge"], fields.get("nonce"), asked.now + CODE_LIFETIME)
        grant = Grant(
            self._new_id(),
            fields["client_id"],
            scopes,
            approval.subject,
            client.purposes if client else (),
            asked.now,
            approval.role,
            approval.name,
            approval.fhir_user,
            patient if _is_about_a_patient(scopes, launched=launched is not None) else None,
            encounter if launched or "launch/encounter" in scopes else None,
            approval.session,
            approval.signed_in,
            approval.methods,
            launched.context if launched else {},
            code,
        )
        return replace(grant, until=code.expires + self._server.issuing.ends(grant))


def _allowed(
    granted: tuple[str, ...], offered: tuple[str, ...], patient: str | None, encounter: str | None
) -> tuple[str, ...]:
    """In no way more than was put before the person; and no scope of a patient without one (R-SMART-023)."""
    kept = [scope for scope in dict.fromkeys(granted) if covered(scope, offered)]
    if patient is None:
        kept = [scope for scope in kept if scope != "launch/patient" and not scope.startswith("patient/")]
    if encounter is None:
        kept = [scope for scope in kept if scope != "launch/encounter"]
    return tuple(kept)


def _is_about_a_patient(scopes: tuple[str, ...], *, launched: bool) -> bool:
    return launched or any(scope == "launch/patient" or scope.startswith("patient/") for scope in scopes)
