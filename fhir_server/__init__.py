"""A FHIR R4 interoperability server for social referrals."""

__version__ = "0.1.0"
