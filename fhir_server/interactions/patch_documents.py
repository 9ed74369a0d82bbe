"""The two patch documents that R4 has for JSON: JSON Patch and FHIRPath Patch (http.html#patch, fhirpatch.html).

Both functions are pure: they return a patched copy and change neither argument. Whether the result is valid, and
whether it kept its type and id, is for the caller to check. JSON Merge Patch is not part of R4.
"""

from enum import Enum

from fhir_server.interactions.fhirpath_patch import apply_fhirpath_patch
from fhir_server.interactions.json_patch import apply_json_patch
from fhir_server.model.errors import UnsupportedMediaType

__all__ = ["PatchKind", "apply_fhirpath_patch", "apply_json_patch", "patch_kind"]


class PatchKind(Enum):
    """The patch documents that this server takes."""

    JSON_PATCH = "application/json-patch+json"
    FHIRPATH_PATCH = "application/fhir+json"


def patch_kind(content_type: str) -> PatchKind:
    """Tell the kind by a Content-Type header, parameters ignored. Raises UnsupportedMediaType that lists what is taken."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence == PatchKind.JSON_PATCH.value:
        return PatchKind.JSON_PATCH
    if essence in (PatchKind.FHIRPATH_PATCH.value, "application/json"):
        return PatchKind.FHIRPATH_PATCH
    raise UnsupportedMediaType(
        f"Found {essence or 'no content type'!r}. Send a JSON Patch as application/json-patch+json or a FHIRPath Patch "
        "(Parameters) as application/fhir+json."
    )
