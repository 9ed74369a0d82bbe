"""What is wrong with a release, said so that a person finds the place."""

from fhir_server.model.errors import FhirError

MOST_CONCEPTS = 2_000_000
"""Concepts of one release; the largest that is published has about half a million."""
MOST_LINKS = 10_000_000
"""Places in the hierarchy of one release."""
LONGEST_LINE = 1 << 20
"""Bytes of one line, or of one text."""


class ReleaseError(FhirError):
    """A release cannot be loaded; `where` is its file, and the line where one is at fault."""

    code = "invalid"
    key = "release-unreadable"

    def __init__(self, text: str, where: str = "", line: int = 0) -> None:
        place = f"{where}, line {line}" if line else where
        super().__init__(f"{place}: {text}" if place else text)
