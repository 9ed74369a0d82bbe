"""What a unit of work will ask about, told at its beginning: a store that is far away then asks for all of it at once."""

from typing import NamedTuple

from fhir_server.search.query import Query


class Foreseen(NamedTuple):
    """What will be asked. Nothing of it need be asked, and anything else may be."""

    names: tuple[tuple[str, str], ...] = ()
    """Type and id of resources whose newest versions are asked (`Snapshot.current`)."""
    targets: tuple[str, ...] = ()
    """`Type/id` of what is asked for its referrers (`Snapshot.referrers`)."""
    queries: tuple[Query, ...] = ()
    """Searches; those by equalities that few resources satisfy are worth telling."""
