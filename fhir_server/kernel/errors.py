"""Every failure the server can explain to a client: an HTTP status and FHIR issues.

https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """One entry of an OperationOutcome. `diagnostics` never quotes a value out of a resource."""

    code: str
    diagnostics: str
    expression: str | None = None
    severity: str = "error"


class FhirError(Exception):
    """A failure with a FHIR name. Only api.error_handlers turns it into a response.

    `status` is the HTTP status, `code` the IssueType; both are fixed per class.
    """

    status = 500
    code = "exception"

    def __init__(self, diagnostics: str = "", *, expression: str | None = None, issues: Sequence[Issue] = ()) -> None:
        super().__init__(diagnostics)
        self.issues = tuple(issues) or (Issue(self.code, diagnostics or type(self).__name__, expression),)


class MalformedError(FhirError):
    """The bytes are not JSON, or the JSON is not what FHIR's JSON format allows."""

    status, code = 400, "structure"


class InvalidRequestError(FhirError):
    status, code = 400, "invalid"


class TooCostlyError(FhirError):
    """Answering exactly would exceed a limit; a partial answer would look whole."""

    status, code = 400, "too-costly"


class UnauthenticatedError(FhirError):
    status, code = 401, "login"


class EndedTokenError(UnauthenticatedError):
    """The token was good until what it was granted on ended: revoked, signed out, replayed.

    `stronger`: the holder has to authenticate better than before (RFC 9470), not merely again.
    """

    def __init__(self, *, stronger: bool = False) -> None:
        super().__init__("The bearer token is not valid, not for this server, or expired.")
        self.stronger = stronger


class ForbiddenError(FhirError):
    """The caller's scopes do not allow the interaction (RFC 6750: insufficient_scope)."""

    status, code = 403, "forbidden"


class NoLegalBasisError(FhirError):
    """Scopes allow it; no consent, rule or obligation does."""

    status, code = 403, "suppressed"


class NotFoundError(FhirError):
    status, code = 404, "not-found"


class MethodNotAllowedError(FhirError):
    status, code = 405, "not-supported"

    def __init__(self, diagnostics: str = "", *, allow: Sequence[str] = ()) -> None:
        super().__init__(diagnostics)
        self.allow = tuple(allow)


class NotAcceptableError(FhirError):
    status, code = 406, "not-supported"


class ConflictError(FhirError):
    status, code = 409, "conflict"


class GoneError(FhirError):
    status, code = 410, "deleted"


class VersionConflictError(FhirError):
    """If-Match names a version that is not the current one."""

    status, code = 412, "conflict"


class StaleVersionError(VersionConflictError):
    """Somebody else wrote between our reading and our commit; without If-Match that is ours to try again."""


class MultipleMatchesError(FhirError):
    status, code = 412, "multiple-matches"


class TooLargeError(FhirError):
    status, code = 413, "too-long"


class UnsupportedMediaTypeError(FhirError):
    status, code = 415, "not-supported"


class RangeNotSatisfiableError(FhirError):
    status, code = 416, "value"

    def __init__(self, length: int) -> None:
        super().__init__("The range lies outside the content.")
        self.length = length


class UnprocessableError(FhirError):
    """Well-formed FHIR that breaks its definition or a rule of this server."""

    status, code = 422, "invalid"


class NotSupportedError(FhirError):
    """Nothing is wrong with it, and this server, with the parts that it has, cannot do it."""

    status, code = 422, "not-supported"


class TooManyRequestsError(FhirError):
    """The caller has as much under way as it may have."""

    status, code = 429, "throttled"


class UnavailableError(FhirError):
    """The database, a key or a decision cannot be had now. Nothing was done; try again."""

    status, code = 503, "transient"


class ConditionChangedError(ConflictError):
    """What a conditional write's criteria match changed between the search and the commit: search again."""


class ContendedError(UnavailableError):
    """Others were writing the same rows at the same instant, again and again: look again, and try again."""


class StaleBasisError(UnavailableError):
    """A patient's epoch moved between the decision and its use: decide again."""
