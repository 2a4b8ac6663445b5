"""The XHTML of a narrative: well formed, of the few elements R4 allows, and unable to act.

https://hl7.org/fhir/R4/narrative.html (txt-1, txt-2), https://hl7.org/fhir/R4/security.html#narrative
"""

import re
from collections.abc import Callable
from xml.parsers import expat

from fhir_server.fhir.faults import Fault, fault
from fhir_server.fhir.scope import Scope
from fhir_server.kernel.json import Json

_XHTML = "http://www.w3.org/1999/xhtml "
_XML = "http://www.w3.org/XML/1998/namespace "

_ELEMENTS = """a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd dfn div dl
dt em font h1 h2 h3 h4 h5 h6 hr i img kbd li map ol p pre q s samp small span strike strong sub sup table tbody td tfoot
th thead tr tt u ul var"""
_ATTRIBUTES = """abbr accesskey align alt axis bgcolor border cellpadding cellspacing char charoff charset cite class
clear color cols colspan compact coords dir face frame headers height href hreflang hspace id lang longdesc name noshade
nowrap rel rev rowspan rules scope shape size span src start style summary tabindex title type usemap valign value
vspace width"""
ELEMENTS = frozenset(_ELEMENTS.split())
ATTRIBUTES = frozenset(_ATTRIBUTES.split()) | {_XML + "lang", _XML + "space"}
LINKS = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
_SCHEMES = frozenset({"http", "https", "ftp", "ftps", "mailto", "tel", "sms", "cid", "mid", "urn", "oid"})
_PICTURE = re.compile(r"""url\( *(["']?)(?:https?:)?[\w./?=&;%~+#-]+\1 *\)""", re.IGNORECASE | re.ASCII)
_STYLE = re.compile(r"url|expression *\(|behaviou?r *:|-binding|[\\<@]|/\*", re.IGNORECASE)
"""What may act, looked for once the pictures are taken out. A backslash could spell any of it."""


class _RefusedError(Exception):
    """What the parser's handlers raise to stop at the first fault; it says why, without quoting."""


def narrative_faults(value: object, _: Json, __: Scope) -> list[Fault] | None:
    """The faults of one `div`."""
    if type(value) is not str or not value:
        return fault("structure", "A narrative is one XHTML div in a JSON string.")
    reader = _Reader()
    try:
        reader.read(value)
    except expat.ExpatError:
        return fault(
            "invalid", "The narrative is not well-formed XHTML (named entities need a document type, so write numbers)."
        )
    except _RefusedError as refused:
        return fault("invalid", str(refused))
    return (
        None
        if reader.has_content
        else fault("invariant", "txt-2: The narrative SHALL have some non-whitespace content.")
    )


class _Reader:
    """One pass with expat; nothing is built, nothing is fetched, no entity is expanded."""

    def __init__(self) -> None:
        self.has_content = False
        self._depth = 0
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = self._comment
        parser.StartDoctypeDeclHandler = _refuse("A narrative has no document type.")
        parser.EntityDeclHandler = _refuse("A narrative declares no entities.")
        parser.ProcessingInstructionHandler = _refuse("A narrative has no processing instructions.")
        parser.StartCdataSectionHandler = _refuse("A narrative has no CDATA: HTML reads it differently.")
        parser.XmlDeclHandler = _refuse("A narrative is an element and no document.")
        self._parser = parser

    def read(self, text: str) -> None:
        try:
            self._parser.Parse(text.encode(), True)  # noqa: FBT003  positional only
        except UnicodeEncodeError:
            raise _RefusedError("The narrative is not valid Unicode.") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        element = name.removeprefix(_XHTML)
        if not name.startswith(_XHTML) or element not in ELEMENTS:
            raise _RefusedError("txt-1: The narrative has an element that R4 does not allow.")
        if not self._depth and element != "div":
            raise _RefusedError("txt-1: The narrative is one div element.")
        self._depth += 1
        self.has_content |= element == "img"
        for key, value in attributes.items():
            _check_attribute(element, key, value)

    def _end(self, _: str) -> None:
        self._depth -= 1

    def _text(self, data: str) -> None:
        self.has_content |= not data.isspace()

    def _comment(self, data: str) -> None:
        if data.startswith((">", "->")):
            raise _RefusedError("A comment in the narrative begins as one that HTML takes for ended.")


def _refuse(why: str) -> Callable[..., None]:
    def handler(*_: object) -> None:
        raise _RefusedError(why)

    return handler


def _check_attribute(element: str, name: str, value: str) -> None:
    if name not in ATTRIBUTES:
        raise _RefusedError("txt-1: The narrative has an attribute that R4 does not allow.")
    if name == "style" and _STYLE.search(_PICTURE.sub(" ", value)):
        raise _RefusedError("A style in the narrative could act.")
    if name in LINKS:
        compact = re.sub(r"[\s\x00-\x20\x7f-\xa0]", "", value)
        scheme = _SCHEME.match(compact)
        if scheme is not None and scheme[1].lower() not in _SCHEMES:
            raise _RefusedError(
                "A link in the narrative uses a scheme that could act; an image there must not be embedded."
            )
