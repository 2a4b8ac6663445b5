"""A photograph that was shared with the patient whom it shows: the link, then the code, then the picture.

Architecture section 9; GDPR Art. 32: two things that go by two ways. No account: each opening asks for both.
"""

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel.errors import FhirError
from fhir_server.media.sharing import Share
from fhir_server.smart.rights import purpose_of
from fhir_server.smart.signin.lockout import for_factor
from fhir_server.ui.answers import NOT_FOUND, TOO_SOON, Answer, Give, Show, wrong
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Visit

_SCOPES = ("patient/Media.r", "patient/Binary.r")
_GONE = Show("fault", {"fault_key": "link-gone"}, NOT_FOUND)
_OURS = 500


async def get(surface: Surface, visit: Visit) -> Answer:
    share = await _share(surface, visit)
    return Show("shared", _values(visit, share)) if share else _GONE


async def post(surface: Surface, visit: Visit) -> Answer | Give:
    share = await _share(surface, visit)
    if share is None:
        return _GONE
    assert surface.shares is not None
    counts = for_factor("share", share.key.id, None)
    if wait := await surface.shares.attempts.begin(counts):
        return Show("shared", _values(visit, share), TOO_SOON, wait=int(wait.total_seconds()) + 1, fault="too-soon")
    if not surface.shares.sharing.is_code(share, visit.form.get("code")):
        return wrong("shared", _values(visit, share), "shared-wrong", "code")
    await surface.shares.attempts.succeeded(counts)
    call = _call(surface, visit, share)
    try:
        opened = await surface.shares.sharing.open(call, share)
    except FhirError as failure:
        if failure.status >= _OURS:
            raise
        return _GONE
    parts = surface.shares.sharing.stream(call, visit.link, opened)
    return Give(opened.photo.media_type, opened.photo.length, parts)


async def _share(surface: Surface, visit: Visit) -> Share | None:
    return await surface.shares.sharing.find(visit.link, surface.clock.now()) if surface.shares else None


def _values(visit: Visit, share: Share) -> dict[str, object]:
    return {"link": visit.link, "until": share.until}


def _call(surface: Surface, visit: Visit, share: Share) -> Call:
    """The patient's own, with a token's worth of rights over this one photo."""
    who = Principal(
        share.key.id, "share", "", "", _SCOPES, patient=share.patient, fhir_user=f"Patient/{share.patient}",
        role="patient",
    )  # fmt: skip
    return Call(
        Interaction.READ, who, surface.clock.now(), "Media", share.media.id, purpose=purpose_of(who),
        client_address=visit.place.address,
    )  # fmt: skip
