"""From one step to the next: what was begun is completed, a complete sign-in is led on to the client's answer.

smart.signin.steps decides; here it is carried out.
"""

from dataclasses import replace

from fhir_server.smart.signin.sessions import Ended
from fhir_server.smart.signin.steps import MULTIPLE, Step, after_proof, after_sign_in
from fhir_server.smart.signin.witnessed import Action, witness
from fhir_server.ui.answers import Answer, Go, Show, path
from fhir_server.ui.cookies import BEGUN, DEVICE, SESSION, VISIT
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Signed, Visit


def go(surface: Surface, visit: Visit, step: Step) -> Go:
    return Go(path(surface.root, step, visit.pending))


def onward(surface: Surface, visit: Visit, signed: Signed) -> Answer:
    """The next page of somebody who is signed in."""
    if visit.asked and visit.pending is None:
        return gone()
    return go(surface, visit, after_sign_in(signed.user, signed.sign_in, visit.pending, surface.clock.now()))


def gone() -> Show:
    """A request that nobody made, that was answered, or that is over. There is nowhere to go back to."""
    return Show("fault", {"fault_key": "request-gone"}, 400)


async def proven(
    surface: Surface, visit: Visit, begun: Signed, *methods: str, factor: str = "", declined: bool = False
) -> Answer:
    """After one more proof, by this factor: on to the next step, or into the clinic."""
    sign_in = begun.sign_in
    if methods:
        told = tuple(dict.fromkeys((*sign_in.methods, *methods, MULTIPLE)))
        kept = await surface.door.sessions.keep(replace(sign_in, methods=told, factor=factor))
        if kept is None:
            return go(surface, visit, Step.SIGN_IN)
        begun = replace(begun, sign_in=kept)
    step = after_proof(
        begun.user,
        begun.sign_in,
        patients_by_password=surface.door.policy.patients_by_password,
        declined=declined,
    )
    if step is not Step.COMPLETE:
        return go(surface, visit, step)
    return await completed(surface, visit, begun)


async def begin(surface: Surface, visit: Visit, begun: Signed, secret: str) -> Answer:
    """After the first proof: the browser gets what stands for it."""
    answer = await proven(surface, visit, begun)
    return answer if BEGUN in answer.drop else replace(answer, set={**answer.set, BEGUN: secret})


async def completed(surface: Surface, visit: Visit, begun: Signed, show: Show | None = None) -> Answer:
    """Recorded, then let in. `show` is a page to see first."""
    before = visit.signed.sign_in if visit.signed else None
    request = visit.pending.id if visit.pending else None
    done = await surface.door.sessions.complete(begun.sign_in, begun.sign_in.methods, before, request)
    if done is None:
        return go(surface, visit, Step.SIGN_IN)
    sign_in, secret = done
    await witness(surface.door.outside.witness, Action.SIGN_IN, begun.user, visit.place.address, factor=sign_in.factor)
    device = await surface.door.devices.learn(begun.user.id, visit.place.device)
    answer = show or onward(surface, visit, Signed(begun.user, sign_in))
    return replace(answer, set={SESSION: secret, DEVICE: device}, drop=(BEGUN, VISIT))


async def signed_out(surface: Surface, visit: Visit, *, everywhere: bool) -> Show:
    if visit.signed:
        user, sign_in = visit.signed.user, visit.signed.sign_in
        if everywhere:
            await surface.door.sessions.end_user(user.id, Ended.SIGNED_OUT)
        else:
            await surface.door.sessions.end([sign_in], Ended.SIGNED_OUT)
        action = Action.SIGN_OUT_EVERYWHERE if everywhere else Action.SIGN_OUT
        await witness(surface.door.outside.witness, action, user, visit.place.address)
    return Show("signed-out", drop=(SESSION, BEGUN, VISIT))
