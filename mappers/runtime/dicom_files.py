"""A photograph of the server as a DICOM file: its stored bytes enclosed as they are, for who may have them now.

DICOM PS3.10. The server decides on the read of the bytes, as on any other, and records it.
"""

from mappers.dicom.writing import photographic
from mappers.mapping.faults import UnusableError
from mappers.runtime.remote import Remote


async def dicom_file(here: Remote, reference: str) -> tuple[str, bytes]:
    """Name and content; UnusableError for what is no baseline JPEG of a patient, RejectedError for what is refused."""
    if not reference.startswith("Media/"):
        raise UnusableError("A photograph is named as Media/[id].")
    media = await here.read(reference)
    if media is None:
        raise UnusableError("There is no such photograph.")
    subject, url = media.get("subject", {}).get("reference", ""), media.get("content", {}).get("url", "")
    patient = await here.read(subject) if subject.startswith("Patient/") else None
    if patient is None or not url:
        raise UnusableError("It is no photograph of a patient who is on file.")
    return f"{media['id']}.dcm", photographic(media, patient, await here.content(url))
