"""The boundary of a Location (R4's extension location-boundary-geojson): GeoJSON that encloses an area, or a fault.

FHIRPath cannot look into base64, hence this rule in code. It is an error only where a profile of ours is claimed.
"""

from typing import Any

from fhir_server.model.geojson import BoundaryUnreadable, read_boundary
from fhir_server.validation.checks import fail
from fhir_server.validation.finding import Findings
from fhir_server.validation.wording import say


def check_boundary(extension: dict[str, Any]) -> Findings:
    """Judge the Attachment of the extension; that it is one is judged elsewhere."""
    attachment = extension.get("valueAttachment")
    if type(attachment) is not dict:
        return None
    try:
        read_boundary(attachment)
    except BoundaryUnreadable as error:
        text = say("boundary", reason=say(error.fault, **error.values))
        return fail("boundary-unreadable", "value", text, f".value.ofType(Attachment){error.member}")
    return None
