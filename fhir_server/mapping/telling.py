"""What a source says and FHIR has no element for: it is told, so that nobody believes it came along."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_server.mapping.places import Place, Remark, read_path, read_paths, shown

Tell = Callable[[Place], None]
_MOST = 3


def compile_told(specs: Sequence[Mapping[str, Any]]) -> Tell:
    """Compile `told` of a target (`mappings/mapping.schema.json`): it remarks on what a record says, and changes nothing."""
    tells = [_differing(spec) if "differ" in spec else _saying(spec) for spec in specs]

    def tell(place: Place) -> None:
        for one in tells:
            one(place)

    return tell


def _saying(spec: Mapping[str, Any]) -> Tell:
    """Compile a remark on each of `members` that an element says anything at, save what stands in `except`."""
    read, where, usual = read_paths(spec["each"]), shown(spec["each"]), frozenset(spec.get("except", ()))
    members = [(name, read_path(name)) for name in spec["members"]]

    def tell(place: Place) -> None:
        found = read(place)
        elements = [place.at(one) for one in found or ()]
        for name, member in members:
            texts = dict.fromkeys(str(value) for one in elements if (value := member(one)) is not None)
            if listed := [text for text in texts if text not in usual]:
                said = ", ".join(repr(text[:40]) for text in listed[:_MOST])
                place.run.remark(Remark("warning", "not-expressed", f"{where}: {name}", f"{said}: {spec['text']}"))

    return tell


def _differing(spec: Mapping[str, Any]) -> Tell:
    """Compile a remark for elements of which one says something else at `differ` than another does, by `members`."""
    read, inner = read_paths(spec["each"]), read_path(spec["differ"])
    members = [read_path(name) for name in spec["members"]]

    def tell(place: Place) -> None:
        said = set()
        for element in read(place) or ():
            found = inner(place.at(element))
            listed = found if isinstance(found, list) else [] if found is None else [found]
            said.add(frozenset(tuple(str(member(place.at(one))) for member in members) for one in listed))
        if len(said) > 1:
            where = f"{shown(spec['each'])}: {spec['differ']}"
            place.run.remark(Remark("warning", "not-expressed", where, spec["text"]))

    return tell
