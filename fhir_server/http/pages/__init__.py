"""The web pages: for people of an organisation that has no software which speaks FHIR (docs/pages.md)."""

from fhir_server.http.pages.routes import pages_router
from fhir_server.http.pages.site import Site

__all__ = ["Site", "pages_router"]
