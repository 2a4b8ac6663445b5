"""Passkeys: registered with the person verified by the device, and asked for in the same way.

W3C Web Authentication Level 3, sections 7.1 and 7.2. An address in numbers is no relying party's id: a server known by
one has no passkeys.
"""

import ipaddress
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from fhir_server.smart.signin.users import Passkey, User

MOST_RESPONSE = 32_768
_MOST_LABEL = 60
_FAULTS = (WebAuthnException, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What becomes of a response that is none: all of it comes from the browser, and much of it is parsed as binary."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The server as authenticators know it."""

    id: str
    origin: str
    name: str

    @classmethod
    def at(cls, base_url: str, name: str) -> "RelyingParty | None":
        """None where the server is known by an address in numbers."""
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return cls(host, f"{parts.scheme}://{parts.netloc}", name)
        return None

    def registration(self, user: User, challenge: bytes) -> str:
        """Options for navigator.credentials.create(), as JSON."""
        options = webauthn.generate_registration_options(
            rp_id=self.id,
            rp_name=self.name,
            user_id=user.id.encode(),
            user_name=user.username,
            user_display_name=user.name,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=_descriptors(user),
        )
        return options_to_json(options)

    def assertion(self, challenge: bytes, user: User | None = None) -> str:
        """Options for navigator.credentials.get(): of one user, or of whoever the device offers."""
        options = webauthn.generate_authentication_options(
            rp_id=self.id,
            challenge=challenge,
            allow_credentials=_descriptors(user) if user else [],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    def registered(self, response: str, challenge: bytes, label: str, now: datetime) -> Passkey | None:
        """The passkey that the browser made; None where the response does not hold."""
        if len(response) > MOST_RESPONSE:
            return None
        try:
            made = webauthn.verify_registration_response(
                credential=response,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        except _FAULTS:
            return None
        synced = made.credential_device_type is CredentialDeviceType.MULTI_DEVICE
        return Passkey(
            made.credential_id, made.credential_public_key, made.sign_count, label[:_MOST_LABEL], now, synced
        )

    def used(self, user: User, response: str, challenge: bytes) -> Passkey | None:
        """That user's passkey after this use; None where the response does not hold or a counter went back."""
        if len(response) > MOST_RESPONSE:
            return None
        try:
            credential = parse_authentication_credential_json(response)
            passkey = user.passkey(credential.raw_id)
            if passkey is None or credential.response.user_handle not in {None, b"", user.id.encode()}:
                return None
            verified = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.count,
                require_user_verification=True,
            )
        except _FAULTS:
            return None
        return replace(passkey, count=verified.new_sign_count)


def owner_of(response: str) -> str | None:
    """The id of the user whom a discoverable passkey names; not proven yet."""
    if len(response) > MOST_RESPONSE:
        return None
    try:
        handle = parse_authentication_credential_json(response).response.user_handle
        return handle.decode("ascii") if handle else None
    except _FAULTS:
        return None


def challenge_of(text: str) -> bytes:
    """From the base64url in which a form carries it; empty where it is none."""
    try:
        return base64url_to_bytes(text)
    except _FAULTS:
        return b""


def _descriptors(user: User) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=passkey.id) for passkey in user.passkeys]
