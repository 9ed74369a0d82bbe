"""From the files of a release to an edition in the store."""

import gc
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from fhir_server.store.concepts import ConceptRow, Edition, EditionHead
from fhir_server.store.port import Store
from fhir_server.terminology.releases import hierarchy, numbered
from fhir_server.terminology.releases.gathering import About, Gathering
from fhir_server.terminology.releases.read import Release, gather

_BATCH: Final = 5_000
Told = Callable[[str, int, int], None]
"""Is told what is being done, how much of it more is done, and how much there is in all."""


def load_release(store: Store, release: Release, stated: About, told: Told, encoding: str = "utf-8") -> Edition:
    """Read a release and load it as one edition. Raises ReleaseError, and then nothing of it is in the store."""
    with Gathering() as gathering:
        gather(release, stated, gathering, lambda size: told("reading", size, release.size), encoding)
        told("ordering", 0, 0)
        tree = hierarchy.number(gathering)
        about = gathering.about
        head = EditionHead(about.system, about.version, numbered.head(gathering, tree).packed())
        gc.collect()
        return store.load_concepts(head, _batches(gathering, tree, told))


def _batches(gathering: Gathering, tree: hierarchy.Hierarchy, told: Told) -> Iterator[Sequence[ConceptRow]]:
    rows = (ConceptRow(*one) for one in numbered.concepts(gathering, tree))
    while batch := list(islice(rows, _BATCH)):
        yield batch
        told("loading", len(batch), len(gathering))
