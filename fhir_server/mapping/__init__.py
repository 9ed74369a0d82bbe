"""Turns the records of other systems into resources, by the definitions of mappings/: tables, HSDS, other FHIR servers."""
