"""A sign-in as JSON, for the store to seal, and back.

The layout is ours alone.
"""

from datetime import UTC, datetime

from fhir_server.kernel.json import Json
from fhir_server.smart.signin.sessions import Chosen, Remembered, SignIn


def record(sign_in: SignIn) -> Json:
    """All but what stands beside the seal: id, user, seen, until, revision."""
    return {
        "complete": sign_in.complete,
        "methods": list(sign_in.methods),
        "signedIn": sign_in.signed_in.astimezone(UTC).isoformat(),
        "began": sign_in.began.astimezone(UTC).isoformat(),
        "until": sign_in.until.astimezone(UTC).isoformat(),
        "user": sign_in.user,
        "address": sign_in.address,
        "browser": sign_in.browser,
        "factor": sign_in.factor,
        "request": sign_in.request,
        "offered": sign_in.offered,
        "chosen": [sign_in.chosen.request, sign_in.chosen.role, sign_in.chosen.patient] if sign_in.chosen else None,
        "remembered": [
            {"clientId": one.client_id, "role": one.role, "patient": one.patient, "scopes": list(one.scopes)}
            for one in sign_in.remembered
        ],
    }


def sign_in(id: str, seen: datetime, revision: int, kept: Json) -> SignIn:
    return SignIn(
        id=id,
        user=kept["user"],
        complete=kept["complete"],
        methods=tuple(kept["methods"]),
        signed_in=datetime.fromisoformat(kept["signedIn"]),
        began=datetime.fromisoformat(kept["began"]),
        seen=seen,
        until=datetime.fromisoformat(kept["until"]),
        address=kept["address"],
        browser=kept["browser"],
        factor=kept["factor"],
        request=kept["request"],
        offered=kept["offered"],
        remembered=tuple(
            Remembered(one["clientId"], one["role"], one["patient"], tuple(one["scopes"])) for one in kept["remembered"]
        ),
        chosen=Chosen(*kept["chosen"]) if kept["chosen"] else None,
        revision=revision,
    )
