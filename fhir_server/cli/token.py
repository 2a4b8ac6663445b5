"""`fhir-server token`: an access token for the demo, from the operator's own hand. Each use is recorded.

RFC 9068. On a real clinic's data it refuses: there, people sign in and services have clients of their own.
"""

import argparse
import asyncio
from dataclasses import replace
from datetime import timedelta

from fhir_server.app import open_clinic
from fhir_server.cli import place
from fhir_server.cli.faults import CommandError
from fhir_server.cli.record import OPERATOR, record
from fhir_server.engine.call import Principal
from fhir_server.kernel.identity import is_id, parse_reference, random_id
from fhir_server.settings import Settings
from fhir_server.smart.grant import Grant
from fhir_server.smart.roles import roles
from fhir_server.smart.scopes import parse
from fhir_server.smart.token import Claims

_LONGEST = 3600


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scope", required=True, help='SMART scopes, for example "system/*.cruds"')
    parser.add_argument("--patient", help="id of the patient in context; patient/ scopes need it")
    parser.add_argument("--role", choices=list(roles()), help="in which role; none for a back end")
    parser.add_argument("--fhir-user", help="who acts, for example Practitioner/3")
    parser.add_argument("--purpose", help="for what, a v3-ActReason code; else what the role is for")
    parser.add_argument("--lifetime", type=int, help="seconds; default FHIR_SERVER_TOKEN_LIFETIME")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    if settings.mongo_uri:
        raise CommandError("Tokens are issued for the demo alone; register a client with `fhir-server clients add`.")
    claims = _claims(settings, arguments)
    print(asyncio.run(issue(place.beside(settings), claims)), flush=True)
    return 0


def _claims(settings: Settings, arguments: argparse.Namespace) -> Claims:
    scopes = tuple(arguments.scope.split())
    unknown = [scope for scope in scopes if parse(scope) is None]
    if unknown or not scopes:
        raise CommandError(f"Not a scope that grants anything here: {' '.join(unknown) or '(none)'}")
    if any(scope.startswith("patient/") for scope in scopes) and not arguments.patient:
        raise CommandError("patient/ scopes need --patient ID.")
    if arguments.patient is not None and not is_id(arguments.patient):
        raise CommandError("--patient must be the id of a Patient, without `Patient/`.")
    if arguments.fhir_user is not None and parse_reference(arguments.fhir_user) is None:
        raise CommandError("--fhir-user must be a reference such as Practitioner/3.")
    if arguments.role is None and any(not scope.startswith("system/") for scope in scopes):
        raise CommandError("user/ and patient/ scopes are a person's: say in which --role.")
    lifetime = settings.token_lifetime if arguments.lifetime is None else arguments.lifetime
    if not 1 <= lifetime <= _LONGEST:
        raise CommandError(f"--lifetime must be 1 to {_LONGEST} seconds.")
    return Claims(
        OPERATOR,
        OPERATOR,
        scopes,
        timedelta(seconds=lifetime),
        arguments.patient,
        arguments.fhir_user,
        role=arguments.role,
        purposes=(arguments.purpose,) if arguments.purpose else (),
    )


async def issue(settings: Settings, claims: Claims) -> str:
    """A token of a grant of its own, which ends with the token."""
    async with open_clinic(settings) as clinic:
        now = clinic.surface.clock.now()
        until = now + claims.lifetime
        grant = Grant(random_id(), claims.client_id, claims.scopes, claims.subject, (), until)
        clinic.store.grants.add(grant, until)
        token, token_id = clinic.tokens.issue(replace(claims, grant=grant.id), now)
        # The event is durable before the token is shown.
        holder = Principal(
            claims.subject,
            claims.client_id,
            clinic.settings.base_url,
            token_id,
            claims.scopes,
            claims.patient,
            claims.fhir_user,
            role=claims.role,
        )
        await record(clinic, "token", holder)
        return token
