"""One's own page: what was done to one's sign-in, where one is signed in, by what one proves who one is.

OWASP ASVS 5 chapter 7.5 (see and end one's sessions). What changes a means of proof asks for a proof again.
"""

from fhir_server.smart.signin.passkeys import challenge_of
from fhir_server.smart.signin.sessions import Ended
from fhir_server.smart.signin.steps import Step, factor_needed, is_fresh
from fhir_server.smart.signin.users import User
from fhir_server.ui import flow, own_factor_pages
from fhir_server.ui.answers import Answer, Go, Show, path, wrong
from fhir_server.ui.sign_in_page import shown
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Signed, Visit


async def get(surface: Surface, visit: Visit) -> Answer:
    if visit.signed is None:
        return flow.go(surface, visit, Step.SIGN_IN)
    return Show("account", await _values(surface, visit.signed))


async def post(surface: Surface, visit: Visit) -> Answer:
    """One button, one action."""
    if visit.signed is None:
        return flow.go(surface, visit, Step.SIGN_IN)
    match visit.form.get("action"):
        case "notices-seen":
            await surface.door.enrolment.notices_seen(visit.signed.user)
        case "end":
            await _end(surface, visit.signed, visit.form.get("sign-in"))
        case "forget-browsers":
            await surface.door.devices.forget(visit.signed.user.id)
        case "new-codes" | "remove-totp" | "remove-passkey" as action:
            return await _guarded(surface, visit, visit.signed, action)
        case _:
            return wrong("account", await _values(surface, visit.signed), "action-unknown")
    return flow.go(surface, visit, Step.ACCOUNT)


async def sign_out(surface: Surface, visit: Visit) -> Answer:
    return await flow.signed_out(surface, visit, everywhere=visit.form.get("everywhere") == "yes")


async def prove_again(surface: Surface, visit: Visit) -> Answer:
    """The first page once more, for somebody who is signed in."""
    if visit.signed is None:
        return flow.go(surface, visit, Step.SIGN_IN)
    return Show("sign-in", {**shown(surface, visit), "again": True})


async def _guarded(surface: Surface, visit: Visit, signed: Signed, action: str) -> Answer:
    user, enrolment = signed.user, surface.door.enrolment
    if not is_fresh(signed.sign_in, surface.clock.now()):
        return Go(path(surface.root, "again"))
    if action == "new-codes":
        return await own_factor_pages.recovery_codes(surface, visit, user)
    id = challenge_of(visit.form.get("passkey"))
    needed = factor_needed(user, patients_by_password=surface.door.policy.patients_by_password)
    if needed and _left(user, action, id) == 0:
        return wrong("account", await _values(surface, signed), "last-factor")
    if action == "remove-totp":
        await enrolment.remove_totp(user, visit.place)
    else:
        await enrolment.remove_passkey(user, id, visit.place)
    return await flow.signed_out(surface, visit, everywhere=False)


def _left(user: User, action: str, id: bytes) -> int:
    """How many second factors would be left."""
    if action == "remove-totp":
        return len(user.passkeys)
    return sum(passkey.id != id for passkey in user.passkeys) + (user.totp is not None)


async def _end(surface: Surface, signed: Signed, id: str) -> None:
    """One of one's own."""
    mine = [one for one in await surface.door.sessions.of_user(signed.user.id) if one.id == id]
    await surface.door.sessions.end(mine, Ended.SIGNED_OUT)


async def _values(surface: Surface, signed: Signed) -> dict[str, object]:
    user = await surface.door.users.get(signed.user.id) or signed.user
    return {
        "user": user,
        "here": signed.sign_in.id,
        "sign_ins": await surface.door.sessions.of_user(user.id),
        "browsers": await surface.door.devices.count(user.id),
        "codes_left": len(user.recovery.hashes) if user.recovery else 0,
    }
