"""A second opinion by fhir.resources on what the server is about to answer (setting `cross_check`, for testers).

Its models are R4B, so it judges, and never produces, what we send. It knows nothing of the types that R4B dropped.
"""

import json
from importlib import import_module

from pydantic import ValidationError

_UNKNOWN_TO_R4B = frozenset(
    {
        "EffectEvidenceSynthesis", "Evidence", "EvidenceVariable", "MedicinalProduct", "MedicinalProductAuthorization",
        "MedicinalProductContraindication", "MedicinalProductIndication", "MedicinalProductIngredient",
        "MedicinalProductInteraction", "MedicinalProductManufactured", "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical", "MedicinalProductUndesirableEffect", "RiskEvidenceSynthesis",
        "SubstanceNucleicAcid", "SubstancePolymer", "SubstanceProtein", "SubstanceReferenceInformation",
        "SubstanceSourceMaterial", "SubstanceSpecification",
    }
)  # fmt: skip


def disagreement(body: bytes) -> str:
    """Return what fhir.resources finds wrong with a JSON resource, "" when it agrees or has no say.

    It has none on a body that is no resource, such as the JSON Schema of a profile.
    """
    resource = json.loads(body)
    kind = resource.get("resourceType")
    if kind is None or kind in _UNKNOWN_TO_R4B:
        return ""
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)  # 0.4 s the first time
    try:
        model.model_validate(resource)
    except ValidationError as error:
        # places and kinds of error only: a message may quote personal data, and this text is logged
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in error.errors())
    except KeyError:  # a resource within is of a type that R4B dropped: that is how the models say so
        return ""
    return ""
