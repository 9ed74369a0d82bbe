"""The endpoints of getting in: tokens, what is said about them, and the registration of clients."""

from fhir_server.http.oauth.common import OAuth
from fhir_server.http.oauth.routes import oauth_router

__all__ = ["OAuth", "oauth_router"]
