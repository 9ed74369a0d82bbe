"""The web pages: for people of an organisation that has no software which speaks FHIR (docs/pages.md)."""

from fhir_server.http.pages.wiring import wired_pages

__all__ = ["wired_pages"]
