"""What the viewer of a copy says, in English and French, and under which heading each kind of resource stands.

GDPR Art. 12(1): in clear and plain language. Whatever is not named stands under the last heading.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    en: str
    fr: str


TITLE = Words("Your record", "Votre dossier")
ABOUT = Words(
    "This is a copy of what the clinic keeps about you. It opens without the internet, and nothing in it is sent "
    "anywhere. The same data for other software are in bundle.json (HL7 FHIR R4).",
    "Ceci est une copie de ce que la clinique conserve à votre sujet. Elle s'ouvre sans internet et n'envoie rien. Les "
    "mêmes données, pour d'autres logiciels, se trouvent dans bundle.json (HL7 FHIR R4).",
)
FIELDS = Words("Names of fields are those of the FHIR standard.", "Les noms de champs sont ceux de la norme FHIR.")
LANGUAGE = Words("Language", "Langue")
MADE = Words("Made", "Établi")
PHOTO = Words("Photo", "Photo")
ACCESSES = Words("Who looked at your record", "Qui a consulté votre dossier")
FILES = Words("Files of this copy", "Fichiers de cette copie")
CHECK = Words(
    "manifest.json has the SHA-256 of each file; manifest.jws is the clinic's signature of it.",
    "manifest.json contient le SHA-256 de chaque fichier; manifest.jws en est la signature par la clinique.",
)

GROUPS: tuple[tuple[Words, frozenset[str]], ...] = (
    (Words("About you", "À votre sujet"), frozenset({"Patient", "RelatedPerson", "Coverage", "Account"})),
    (
        Words("Visits and appointments", "Visites et rendez-vous"),
        frozenset({"Appointment", "AppointmentResponse", "Encounter", "EpisodeOfCare"}),
    ),
    (
        Words("Treatments and medicines", "Traitements et médicaments"),
        frozenset(
            {
                *("Procedure", "CarePlan", "MedicationStatement", "MedicationRequest", "MedicationAdministration"),
                *("MedicationDispense", "Immunization", "DeviceUseStatement", "ServiceRequest", "Goal"),
            }
        ),
    ),
    (
        Words("Findings and diagnoses", "Constatations et diagnostics"),
        frozenset(
            {
                *("Observation", "Condition", "AllergyIntolerance", "DiagnosticReport", "ClinicalImpression"),
                *("FamilyMemberHistory", "RiskAssessment", "AdverseEvent", "QuestionnaireResponse", "ImagingStudy"),
            }
        ),
    ),
    (Words("Photographs", "Photographies"), frozenset({"Media"})),
    (Words("Consents", "Consentements"), frozenset({"Consent"})),
    (
        Words("Documents and messages", "Documents et messages"),
        frozenset({"DocumentReference", "Composition", "Communication", "CommunicationRequest", "Binary"}),
    ),
    (
        Words("Who took part", "Qui a participé"),
        frozenset({"Practitioner", "PractitionerRole", "Organization", "Location", "CareTeam"}),
    ),
    (Words("Other", "Autres"), frozenset()),
)
