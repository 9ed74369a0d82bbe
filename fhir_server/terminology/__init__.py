"""Code systems, value sets and concept maps: pure functions on artefacts (R4 terminology-service.html).

`concepts` indexes a CodeSystem, `value_sets` decides and lists membership, `concept_maps` translates, `service` is the
one object that other layers use. Code systems that a licence keeps out of the project (SNOMED CT, ICPC-2, LOINC) are
unknown until they are added to the catalogue: what depends on them is answered with "cannot tell", never with "no".
"""
