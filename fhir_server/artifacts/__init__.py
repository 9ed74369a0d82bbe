"""Finds and indexes the FHIR artefacts of the top-level folders, and the R4 tables that ship with the package.

`source` reads the files and names every fault in them, `catalog` indexes them by (type, canonical, version), `r4` holds
the facts of base R4. An artefact is a conformance or terminology resource that the project publishes under
https://w3id.org/social-referral.
"""
