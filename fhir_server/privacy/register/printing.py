"""The regulator's pack to be read on paper: a heading for each section, and its rows below.

M5. ISO 32000-1, by fpdf2. The built-in fonts have the letters of Western Europe: any other is shown as a question mark,
and is in the JSON and the CSV as it is.
"""

from collections.abc import Sequence
from datetime import datetime

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from fhir_server.kernel.clock import instant
from fhir_server.privacy.register.sections import Section

_FONT, _LETTERS = "helvetica", "windows-1252"
_TITLE, _HEADING, _TEXT = 16, 12, 9
_LINE, _COLUMN, _MARGIN = 4.5, 42, 15


def printed(clinic: str, now: datetime, sections: Sequence[Section]) -> bytes:
    pdf = FPDF(format="A4")
    pdf.core_fonts_encoding = _LETTERS
    pdf.set_creation_date(now)
    pdf.set_title(_shown(f"{clinic}: what a regulator is given"))
    pdf.set_margins(_MARGIN, _MARGIN)
    pdf.set_auto_page_break(auto=True, margin=_MARGIN)
    pdf.add_page()
    _line(pdf, f"{clinic}: what a regulator is given, {instant(now)}", _TITLE, bold=True)
    for section in sections:
        pdf.ln(_LINE)
        _line(pdf, section.title, _HEADING, bold=True)
        if not section.rows:
            _line(pdf, "Nothing is on record.", _TEXT)
        for row in section.rows:
            for column in section.columns:
                if row.get(column):
                    _pair(pdf, column, row[column])
            pdf.ln(_LINE / 2)
    return bytes(pdf.output())


def _line(pdf: FPDF, text: str, size: int, *, bold: bool = False) -> None:
    pdf.set_font(_FONT, "B" if bold else "", size)
    pdf.multi_cell(0, size / 2, _shown(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _pair(pdf: FPDF, name: str, value: str) -> None:
    pdf.set_font(_FONT, "B", _TEXT)
    if pdf.will_page_break(_LINE):
        pdf.add_page()
    pdf.cell(_COLUMN, _LINE, _shown(name))
    pdf.set_font(_FONT, "", _TEXT)
    pdf.multi_cell(0, _LINE, _shown(value), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _shown(text: str) -> str:
    return text.encode(_LETTERS, "replace").decode(_LETTERS)
