"""`fhir-server users`: who may sign in, and what is done when somebody loses a means of proof, or leaves.

Each use is recorded. Nobody's lasting password or factor passes through here.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from fhir_server.app import open_clinic
from fhir_server.cli import asking, demo_people, place
from fhir_server.cli.faults import CommandError
from fhir_server.cli.record import OPERATOR, record
from fhir_server.clinic import Clinic
from fhir_server.engine.call import Principal
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import FhirError
from fhir_server.settings import Settings
from fhir_server.smart.signin.administration import ONCE_FOR, NewUser
from fhir_server.smart.signin.factor_reset import Done, WaitsForSecond, WaitsUntil
from fhir_server.smart.signin.proofs import Place, Proven, Verdict
from fhir_server.smart.signin.users import ROLES, User

_T = TypeVar("_T")
_TERMINAL = Place("", "fhir-server users", None)


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, help: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=help, description=help)
        made.add_argument("--data-dir", type=Path, default=argparse.SUPPRESS, help="as before the command")
        return made

    add = action("add", "Add a user; the last line printed is a password for the first sign-in.")
    add.add_argument("username")
    add.add_argument("--role", action="append", required=True, choices=ROLES, help="may be given several times")
    add.add_argument("--name", default="", help="as others see it; default: the username")
    add.add_argument("--fhir-user", help="who it is in the record, for example Practitioner/3")
    action("list", "List users, with roles, state and second factor.")
    for name, help in (
        ("disable", "End all of a user's sign-ins and allow no more."),
        ("enable", "Allow a disabled user to sign in again."),
    ):
        action(name, help).add_argument("username")
    reset = action("reset", "Hand out a new password, or take away a lost second factor.")
    reset.add_argument("username")
    what = reset.add_mutually_exclusive_group(required=True)
    what.add_argument("--password", action="store_true", help="the last line printed is the new password")
    what.add_argument("--factor", action="store_true", help="by two administrators, one after the other")
    reset.add_argument("--by", help="the administrator who resets a factor; asked for password and code")
    action("code", "Show the present one-time code of somebody of the demo clinic, in place of an app.").add_argument(
        "username"
    )
    leave = action("leave", "Let a user leave: no way in is left, care teams and open tasks go to another.")
    leave.add_argument("username")
    leave.add_argument("--to", required=True, help="the user who takes over")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.action == "code":
        print(demo_people.code_of(arguments.username))
    else:
        asyncio.run(_run(place.beside(settings), arguments))
    return 0


async def _run(settings: Settings, arguments: argparse.Namespace) -> None:
    async with open_clinic(settings) as clinic:
        await _ACTIONS[arguments.action](clinic, arguments)


async def _add(clinic: Clinic, given: argparse.Namespace) -> None:
    new = NewUser(given.username, given.name, tuple(given.role), given.fhir_user)
    try:
        user, once = await clinic.door.administration.add(new)
    except FhirError as failure:
        await record(clinic, "users-add", failure=failure)
        raise
    await _record(clinic, "add", user)
    _handed_out(clinic, user, once)


async def _list(clinic: Clinic, given: argparse.Namespace) -> None:
    users = await clinic.door.administration.all()
    await record(clinic, "users-list")
    for user in users:
        factors = [*(["app"] if user.totp else []), *["passkey" for _ in user.passkeys]]
        row = (user.username, ",".join(user.roles), user.state, "+".join(factors) or "no factor", user.fhir_user or "-")
        print("\t".join(row))


async def _disable(clinic: Clinic, given: argparse.Namespace) -> None:
    user = await _about(clinic, "disable", given.username, clinic.door.administration.disable)
    print(f"{user.username} is disabled; all sign-ins ended.")


async def _enable(clinic: Clinic, given: argparse.Namespace) -> None:
    user = await _about(clinic, "enable", given.username, clinic.door.administration.enable)
    print(f"{user.username} may sign in again.")


async def _reset(clinic: Clinic, given: argparse.Namespace) -> None:
    if given.factor:
        await _reset_factor(clinic, given)
        return
    user = await clinic.door.administration.named(given.username)
    once = await _about(clinic, "reset-password", given.username, clinic.door.administration.reset_password)
    _handed_out(clinic, user, once)


async def _reset_factor(clinic: Clinic, given: argparse.Namespace) -> None:
    if not given.by:
        raise CommandError("--factor needs --by ADMINISTRATOR.")
    door = clinic.door
    user = await door.administration.named(given.username)
    by = await _proven(clinic, given.by, lost=user)
    holder = Principal(by.id, OPERATOR, clinic.settings.base_url, "", fhir_user=by.fhir_user, name=by.name)
    try:
        outcome = await door.factor_reset.reset(user, by)
    except FhirError as failure:
        await record(clinic, f"users-reset-factor {user.id}", holder, user.fhir_user, failure)
        raise
    await record(clinic, f"users-reset-factor {user.id}", holder, user.fhir_user)
    match outcome:
        case Done():
            print(f"The second factor of {user.username} is gone; all sign-ins ended. The next one enrols another.")
        case WaitsForSecond():
            print(f"Asked for, and {user.username} is told. Another administrator has to give the same command.")
        case WaitsUntil(moment):
            print(
                f"Asked for, and {user.username} is told. There is no other administrator: give the same command again "
                f"after {instant(moment)}."
            )


async def _proven(clinic: Clinic, username: str, lost: User) -> User:
    """The administrator, by password and second factor; for one's own lost factor by the password alone."""
    proofs = clinic.door.proofs
    verdict = await proofs.password(username, asking.hidden(f"Password of {username}"), _TERMINAL)
    user = _accepted(verdict)
    if user.id == lost.id:
        return user
    code = asking.hidden(f"One-time code or recovery code of {username}")
    digits = code.replace(" ", "").isdigit()
    return _accepted(await (proofs.code if digits else proofs.recovery_code)(user.id, code, _TERMINAL))


def _accepted(verdict: Verdict) -> User:
    if not isinstance(verdict, Proven):
        raise CommandError("Not accepted. After several attempts it takes a while before the next one is looked at.")
    return verdict.user


async def _leave(clinic: Clinic, given: argparse.Namespace) -> None:
    to = await clinic.door.administration.named(given.to)
    handed = await _about(clinic, "leave", given.username, lambda user: clinic.door.leaving.leave(user, to))
    print(
        f"{given.username} has left: no way in is left. {given.to} took over {handed.care_teams} care team(s) and "
        f"{handed.tasks} open task(s)."
    )


async def _about(clinic: Clinic, action: str, username: str, do: Callable[[User], Awaitable[_T]]) -> _T:
    user = await clinic.door.administration.named(username)
    try:
        result = await do(user)
    except FhirError as failure:
        await record(clinic, f"users-{action} {user.id}", about=user.fhir_user, failure=failure)
        raise
    await _record(clinic, action, user)
    return result


async def _record(clinic: Clinic, action: str, user: User) -> None:
    """By the user's id, which tells nothing, and by whom the record knows."""
    await record(clinic, f"users-{action} {user.id}", about=user.fhir_user)


def _handed_out(clinic: Clinic, user: User, once: str) -> None:
    """Recorded before; the password stands alone on the last line."""
    hours = int(ONCE_FOR.total_seconds() // 3600)
    print(f"{user.username} ({', '.join(user.roles)}) signs in at {clinic.settings.base_url}/auth/sign-in")
    print(f"within {hours} hours with this password, and then chooses another:")
    print(once, flush=True)


_ACTIONS: dict[str, Callable[[Clinic, argparse.Namespace], Awaitable[None]]] = {
    "add": _add,
    "list": _list,
    "disable": _disable,
    "enable": _enable,
    "reset": _reset,
    "leave": _leave,
}
