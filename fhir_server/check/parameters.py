"""Search parameters that are added as files: each is offered by the server, or said not to be."""

from collections.abc import Iterable, Iterator

from fhir_server.artifacts.source import Artifact, Fault
from fhir_server.search.parameters import Registry


def check_parameters(artifacts: Iterable[Artifact]) -> Iterator[Fault]:
    """Yield each SearchParameter that the registry refuses: an expression outside what is offered, an unknown component."""
    found = [one for one in artifacts if one.resource["resourceType"] == "SearchParameter"]
    simple = [one.resource for one in found if one.resource["type"] != "composite"]
    for artifact in found:
        others = simple if artifact.resource["type"] == "composite" else []
        try:
            Registry.load([*others, artifact.resource])
        except ValueError as error:
            if artifact.resource["code"] in str(error):
                yield Fault(artifact.path, "search-parameter-not-offered", str(error))
