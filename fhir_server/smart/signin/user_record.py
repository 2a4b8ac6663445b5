"""A user as JSON, for the store to seal, and back.

The layout is ours alone.
"""

import base64
from datetime import UTC, datetime

from fhir_server.kernel.json import Json
from fhir_server.smart.signin.users import Notice, Passkey, Password, RecoveryCodes, State, Totp, User


def record(user: User) -> Json:
    """All but id and revision, which stand beside the seal and are authenticated by it."""
    return {
        "username": user.username,
        "name": user.name,
        "roles": list(user.roles),
        "fhirUser": user.fhir_user,
        "created": _written(user.created),
        "state": user.state.value,
        "password": _password(user.password) if user.password else None,
        "totp": _totp(user.totp) if user.totp else None,
        "passkeys": [_passkey(passkey) for passkey in user.passkeys],
        "recovery": _recovery(user.recovery) if user.recovery else None,
        "notices": [{"code": notice.code, "at": _written(notice.at)} for notice in user.notices],
    }


def user(id: str, revision: int, kept: Json) -> User:
    return User(
        id=id,
        username=kept["username"],
        name=kept["name"],
        roles=tuple(kept["roles"]),
        fhir_user=kept["fhirUser"],
        created=_read(kept["created"]),
        state=State(kept["state"]),
        password=_password_of(kept["password"]) if kept["password"] else None,
        totp=_totp_of(kept["totp"]) if kept["totp"] else None,
        passkeys=tuple(_passkey_of(passkey) for passkey in kept["passkeys"]),
        recovery=_recovery_of(kept["recovery"]) if kept["recovery"] else None,
        notices=tuple(Notice(notice["code"], _read(notice["at"])) for notice in kept["notices"]),
        revision=revision,
    )


def _password(password: Password) -> Json:
    until = _written(password.once_until) if password.once_until else None
    return {"hash": password.hash, "since": _written(password.since), "onceUntil": until}


def _password_of(kept: Json) -> Password:
    return Password(kept["hash"], _read(kept["since"]), _read(kept["onceUntil"]) if kept["onceUntil"] else None)


def _totp(totp: Totp) -> Json:
    return {"secret": totp.secret, "since": _written(totp.since), "lastStep": totp.last_step}


def _totp_of(kept: Json) -> Totp:
    return Totp(kept["secret"], _read(kept["since"]), kept["lastStep"])


def _passkey(passkey: Passkey) -> Json:
    return {
        "id": _text(passkey.id),
        "publicKey": _text(passkey.public_key),
        "count": passkey.count,
        "label": passkey.label,
        "since": _written(passkey.since),
        "synced": passkey.synced,
    }


def _passkey_of(kept: Json) -> Passkey:
    return Passkey(
        _bytes(kept["id"]),
        _bytes(kept["publicKey"]),
        kept["count"],
        kept["label"],
        _read(kept["since"]),
        kept["synced"],
    )


def _recovery(codes: RecoveryCodes) -> Json:
    return {"salt": _text(codes.salt), "hashes": [_text(one) for one in codes.hashes]}


def _recovery_of(kept: Json) -> RecoveryCodes:
    return RecoveryCodes(_bytes(kept["salt"]), tuple(_bytes(one) for one in kept["hashes"]))


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
