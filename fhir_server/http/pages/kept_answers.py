"""The answers to a questionnaire on their way through the pages: in a hidden field, sealed for this session, in no address.

Nothing is kept on the server, and nobody who finds a page in a cache reads the answers without the session and the server's key.
"""

import binascii
import zlib
from typing import Final

from cryptography.exceptions import InvalidTag

from fhir_server.http.pages.visit import Visit
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import Malformed
from fhir_server.model.resource import Resource

FIELD: Final = "answers"
LONGEST: Final = 100_000
"""Characters of a sealed response; a form of ours has room for it."""


def sealed(visit: Visit, response: Resource) -> str:
    """Return a response as it goes into a form of this session."""
    return visit.site.answers.seal(zlib.compress(encode(response), 9), _session(visit))


def answers_kept(visit: Visit) -> str:
    """Return the sealed answers that a form brought, "" for none. Raises Malformed for what this session did not seal."""
    text = visit.form.one(FIELD, LONGEST)
    if text:
        opened(visit, text)
    return text


def opened(visit: Visit, text: str) -> Resource:
    """Return the response in a sealed text. Raises Malformed for what this session did not seal."""
    try:
        content = visit.site.answers.open(text, _session(visit))
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise Malformed(
            "The answers in this form are not of this session. Answer the questionnaire again.", key="form-field"
        ) from error
    response: Resource = decode_stored(zlib.decompress(content))
    return response


def _session(visit: Visit) -> str:
    return visit.session.token if visit.session is not None else ""
