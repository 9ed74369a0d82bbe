"""One module per FHIR interaction: open a unit of work, ask, commit."""
