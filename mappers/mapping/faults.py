"""Why a message is not taken. No message quotes what a field holds: it may be about a patient."""


class RefusedError(Exception):
    """It is not from whom it claims to be, or it is an old one come again."""


class UnusableError(Exception):
    """It is from them, and no FHIR can be made of it."""
