"""Code systems, value sets and concept maps: pure functions on artefacts (R4 terminology-service.html).

`concepts` indexes a CodeSystem, `value_sets` a ValueSet, `concept_maps` a ConceptMap; `source` finds them by canonical,
`r4` has those of R4 itself; `membership` decides and lists what is in a value set, and `service` is the one object that
other layers use; it is asked and answers with the values of `answers`. Code systems that a licence keeps out of the project
(SNOMED CT, ICPC-2, LOINC) are unknown until they are added: what depends on them is answered with "cannot tell", never
with "no".
"""
