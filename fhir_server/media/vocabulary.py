"""The fixed URLs of what R4's Media has no element for.

https://hl7.org/fhir/R4/extensibility.html: a URL, once given, keeps its meaning.
"""

_OWN = "urn:aesthetic-fhir-server"
EXPOSURE = f"{_OWN}:exposure"
"""Of a Media: exposureTime (s), fNumber, iso, focalLength (mm), focalLength35mm, whiteBalance, lens."""
SHA_256 = f"{_OWN}:sha-256"
"""Of an Attachment: SHA-256 of the stored bytes. `Attachment.hash` is SHA-1 by R4's definition."""
RECEIVED = f"{_OWN}:received-sha-256"
"""Of an Attachment: SHA-256 of the bytes as they were sent, before their metadata went."""
DERIVED_FROM = f"{_OWN}:derived-from"
"""Of a Media that was made from others: a Reference to each, in its version."""
RENDITION = f"{_OWN}:rendition"
"""Of a Media that was made from others: what it is, a code of the same name; also the system of these codes."""
MASKED = f"{_OWN}:masked-area"
"""Of an anonymised Media: left, top, width and height in pixels of the upright picture; one for each area."""
SIMULATED = "simulated"
"""A tag of ours: what is shown was computed, and never happened."""
EXPRESSION, LIGHTING, BACKGROUND = (f"{_OWN}:{name}" for name in ("expression", "lighting", "background"))
DISTANCE, TIMEPOINT, SERIES = (f"{_OWN}:{name}" for name in ("distance", "timepoint", "series"))
"""Of a Media, how it was taken: four CodeableConcepts, a Quantity (distance), an Identifier (series)."""
PHOTO_POLICY = f"{_OWN}:photo-policy"
"""Of a Media: the version of the photo policy by which it was taken, a canonical URL."""
TIMEPOINTS = ("before", "during", "after")
COMPARABILITY = f"{_OWN}:comparability"
"""The code of an Observation about two photos, and the system of its components' codes."""
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
REASSIGNED = f"{_OWN}:reassigned"
"""Why a photo was destroyed under a patient whose it never was; also the system of what follows from it."""
SHARED_UNTIL = f"{_OWN}:shared-until"
"""Of a Communication in which a photo is shared: the instant at which its link ends."""
SHARE = f"{_OWN}:share"
"""The category of such a Communication, and the system of that code."""
CHANNEL = f"{_OWN}:consent-channel"
"""The system of the channels that a consent names."""
DEVICE_KEY = f"{_OWN}:device-key"
"""The system of a Device's identifier that is the RFC 7638 thumbprint of its key."""
