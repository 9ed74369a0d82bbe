"""The types of R4 elements, in the form that FHIRPath asks for them."""

from fhir_server.artifacts import r4


class R4Types:
    """A TypeModel of FHIRPath over the R4 facts."""

    def child(self, parent: str, name: str) -> str:
        """Return the type, or the path of a backbone element; empty for a choice and for what R4 does not know."""
        facts = r4.child(parent, name)
        return r4.definition_of(facts) if facts is not None else ""
