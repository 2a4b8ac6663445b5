"""What a browser posts: a small form, from a page of ours, of this very browser.

OWASP on cross-site request forgery: the Origin where the browser tells it, and a token that only our page has.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

from fhir_server.kernel.errors import (
    ForbiddenError,
    InvalidRequestError,
    MalformedError,
    TooLargeError,
    UnsupportedMediaTypeError,
)

TOKEN = "form_token"  # noqa: S105  the name of a field
MOST_BYTES = 65_536
_MOST_FIELDS = 1_000
_TYPE = "application/x-www-form-urlencoded"


class Form:
    """The fields; a missing one is empty."""

    def __init__(self, fields: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
        self._fields = fields

    def get(self, name: str) -> str:
        return (self._fields.get(name) or [""])[0]

    def all(self, name: str) -> Sequence[str]:
        return self._fields.get(name, ())


async def read(request: Request) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() != _TYPE:
        raise UnsupportedMediaTypeError(f"A form is {_TYPE}.")
    raw = b""
    try:
        async for part in request.stream():
            raw += part
            if len(raw) > MOST_BYTES:
                raise TooLargeError(f"A form has at most {MOST_BYTES} bytes.")
        return Form(parse_qs(raw.decode("ascii"), True, errors="strict", max_num_fields=_MOST_FIELDS))  # noqa: FBT003  keep blank values
    except ClientDisconnect:
        raise MalformedError("The form ended before its declared length.") from None
    except UnicodeDecodeError:
        raise MalformedError("The form is not URL-encoded UTF-8.") from None
    except ValueError:
        raise InvalidRequestError(f"A form has at most {_MOST_FIELDS} fields.") from None


def require_same_site(request: Request, origin: str) -> None:
    """Raises ForbiddenError for a form that another site's page sent.

    A browser that does not say where a form comes from is not refused here: the token decides.
    """
    named = request.headers.getlist("origin")
    if any(one != origin for one in named):
        raise ForbiddenError("The form came from another site.")
    if not named and request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise ForbiddenError("The form came from another site.")
