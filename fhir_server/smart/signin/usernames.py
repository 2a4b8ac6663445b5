"""The name to sign in by: one spelling for all that look or sound alike to whoever types it.

RFC 8265 section 3.3 (UsernameCaseMapped), narrowed to letters, digits and `. _ @ + -`.
"""

import re
import unicodedata

_SHAPE = re.compile(r"[^\W_][\w.@+\-]{1,63}")


def normal(typed: str) -> str | None:
    """Width and case mapped, composed, outer spaces dropped; None where it is no user's name.

    An e-mail address is one as well, but none is needed.
    """
    if len(typed) > 4 * 64:
        return None
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed.strip()).casefold())
    return name if _SHAPE.fullmatch(name) else None
