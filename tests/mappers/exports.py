"""An export as a clinic might get one from a system without an interface: invented people, a photo of one pixel."""

import zipfile
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from mappers.csv_files.layout import Layout, layout
from mappers.mapping.message import Tables

PARIS = Tables(ZoneInfo("Europe/Paris"))
PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
COLUMNS: dict[str, Any] = {
    "system": "urn:example:old-system",
    "delimiter": ";",
    "encoding": "cp1252",
    "files": {
        "patients.csv": {
            "kind": "patients",
            "dates": "%d/%m/%Y",
            "columns": {"ID": "id", "Nom": "family", "Prénom": "given", "Né(e) le": "birthDate", "Sexe": "gender"},
            "codes": {"gender": {"F": "female", "H": "male"}},
        },
        "rendez-vous.csv": {
            "kind": "appointments",
            "times": "%d/%m/%Y %H:%M",
            "columns": {"ID": "id", "Patient": "patient", "Début": "start", "Durée": "minutes", "Statut": "status"},
            "codes": {"status": {"Honoré": "fulfilled", "Absent": "noshow", "Prévu": "booked"}},
        },
        "photos.csv": {"kind": "photos", "columns": {"ID": "id", "Patient": "patient", "Fichier": "file"}},
        "questionnaires.csv": {
            "kind": "forms",
            "title": "Questionnaire médical",
            "times": "%d/%m/%Y %H:%M",
            "columns": {"ID": "id", "Patient": "patient", "Rempli": "completed"},
        },
    },
}
FILES: dict[str, str] = {
    "patients.csv": (
        "ID;Nom;Prénom;Né(e) le;Sexe;Newsletter\n{m}1;Lefèvre;Zoé;14/07/1990;F;oui\n{m}2;Bréal;Luc;31/02/1990;H;\n"
    ),
    "rendez-vous.csv": (
        "ID;Patient;Début;Durée;Statut;Prix\n"
        "{m}1;{m}1;16/03/2026 10:00;30;Honoré;90\n"
        "{m}2;{m}1;17/03/2026 10:00;30;Décommandé;\n"
        "{m}3;{m}1;18/03/2026 10:00;;Prévu;\n"
    ),
    "photos.csv": "ID;Patient;Fichier\n{m}1;{m}1;photos/1.png\n{m}2;{m}1;photos/none.png\n{m}3;{m}1;patients.csv\n",
    "questionnaires.csv": "ID;Patient;Rempli;Allergies;Traitements\n{m}1;{m}1;16/03/2026 09:50;Latex;\n",
}


def columns(**changed: Any) -> Layout:
    return layout({**COLUMNS, **changed})


def export(path: Path, mark: str = "", more: Mapping[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in FILES.items():
            made.writestr(name, text.replace("{m}", mark).encode("cp1252"))
        for name, raw in {"photos/1.png": PIXEL, **(more or {})}.items():
            made.writestr(name, raw)
    return path
