"""Those who sign in to the demo clinic: one for each role at least, with passwords and secrets that everybody may know.

Nowhere else is there a password that an installation brings along.
"""

import contextlib
from dataclasses import dataclass, replace
from importlib.resources import files

from fhir_server.cli.faults import CommandError
from fhir_server.clinic import Clinic
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel import json
from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.smart.signin import totp
from fhir_server.smart.signin.administration import NewUser
from fhir_server.smart.signin.users import Password, Totp


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """`resource` is who they are in the record, where the demo clinic does not have them already."""

    username: str
    name: str
    role: str
    fhir_user: str
    password: str
    totp_secret: str
    resource: Json | None


def people() -> tuple[DemoPerson, ...]:
    with contextlib.closing(files("fhir_server.cli").joinpath("demo_people.json").open("rb")) as file:
        found: Json = json.decode(file.read())
    return tuple(
        DemoPerson(
            one["username"],
            one["name"],
            one["role"],
            one["fhirUser"],
            one["password"],
            one["totp_secret"],
            one["resource"],
        )
        for one in found["people"]
    )


def told() -> list[dict[str, str]]:
    """As `demo.json` has them; its fields are fixed."""
    return [
        {
            "username": one.username,
            "password": one.password,
            "totp_secret": one.totp_secret,
            "role": one.role,
            "fhirUser": one.fhir_user,
        }
        for one in people()
    ]


def code_of(username: str) -> str:
    """The present code of a secret that everybody may know. Raises CommandError for anybody else's."""
    for person in people():
        if person.username == username:
            return totp.code(person.totp_secret, SystemClock().now())
    raise CommandError("Only somebody of the demo clinic has a secret that this command knows.")


async def load(clinic: Clinic, loader: Principal) -> None:
    """Whoever is missing. Somebody who is there stays as they are: their password may have been changed."""
    for person in people():
        if await clinic.door.users.named(person.username) is None:
            await _add(clinic, loader, person)


async def _add(clinic: Clinic, loader: Principal, person: DemoPerson) -> None:
    now = clinic.surface.clock.now()
    if person.resource is not None:
        key = ResourceKey(person.resource["resourceType"], person.resource["id"])
        if await clinic.store.resources.read(key) is None:
            await clinic.engine.update(Call(Interaction.UPDATE, loader, now, key.type, key.id), person.resource)
    door = clinic.door
    described = door.administration.described(NewUser(person.username, person.name, (person.role,), person.fhir_user))
    hash = await door.proofs.passwords.hash(person.password)
    await door.users.add(
        replace(described, password=Password(hash, now), totp=Totp(person.totp_secret, now, last_step=0))
    )
