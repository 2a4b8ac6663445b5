"""By which name a principal's writing is remembered, sealed with each version.

Row T75: per person, not per client; issue "SMART on FHIR": a tie counts only if somebody else wrote it.
"""

from fhir_server.engine.call import Principal

SERVER = "#server"
"""What the server draws up itself; no token's holder has this name."""


def author_of(principal: Principal) -> str:
    """`Practitioner/3` where the person is known, so that two users of one person are one; else issuer and subject."""
    if principal.fhir_user:
        return principal.fhir_user
    return f"{principal.issuer} {principal.subject}" if principal.issuer else SERVER
