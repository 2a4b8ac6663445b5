"""The words by which the log tells what happened at the door.

IHE BALP leaves authentication to DICOM's codes (PS3.15 A.5.3.11, User Authentication; A.5.3.10, Security Alert).
"""

from enum import StrEnum

from fhir_server.smart.signin.ports import Witness
from fhir_server.smart.signin.users import User


class Action(StrEnum):
    """The first three are attempts at a factor, recorded when they fail; a sign-in is recorded when it is complete."""

    PASSWORD = "password"  # noqa: S105  what was tried, not a password
    CODE = "one-time-code"
    RECOVERY_CODE = "recovery-code"
    PASSKEY = "passkey"
    SIGN_IN = "sign-in"
    SIGN_OUT = "sign-out"
    SIGN_OUT_EVERYWHERE = "sign-out-everywhere"
    PASSWORD_SET = "password-set"  # noqa: S105  as above
    TOTP_ENROLLED = "one-time-codes-enrolled"
    PASSKEY_ENROLLED = "passkey-enrolled"
    RECOVERY_CODES = "recovery-codes-made"
    FACTOR_REMOVED = "second-factor-removed"


async def witness(
    to: Witness, action: Action, user: User | None, address: str, *, succeeded: bool = True, factor: str = ""
) -> None:
    await to.witness(
        action,
        succeeded=succeeded,
        subject=user.id if user else "",
        name=user.name if user else "",
        fhir_user=user.fhir_user if user else None,
        address=address,
        factor=factor,
    )
