"""The artefact check of `fhir-server check` and of the tests: every artefact loads, every example is what it says it is.

`definitions` judges profiles, extensions and search parameters, `codes` the terminology and every use of our own codes,
`examples` the examples, valid and invalid. All of it with the code that the server runs, and all findings at once.
"""

from pathlib import Path

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import Artifact, Fault, read_all
from fhir_server.artifacts.topics import read_topics
from fhir_server.check.codes import check_canonicals, check_codes, check_terminology, load_terminology
from fhir_server.check.definitions import check_definition, check_keys, check_mappings
from fhir_server.check.examples import check_examples, load_judge, read_examples
from fhir_server.check.parameters import check_parameters
from fhir_server.check.policies import check_policies
from fhir_server.check.topics import check_topic
from fhir_server.validation.pipeline import Validator

__all__ = ["Finding", "run_check"]

Finding = Fault
"""A finding names its file relative to the root, a stable key, and what to do; `str()` gives one line."""


def run_check(root: Path) -> list[Finding]:
    """Check profiles/, terminology/, mappings/ and examples/ below `root`; an empty list says that all is in order."""
    artifacts, faults = read_all(root)
    topics, broken_topics = read_topics(root)
    faults += broken_topics
    if faults:  # what follows needs an index without doubles and gaps
        return list(faults)
    catalog = Catalog(artifact.resource for artifact in artifacts)
    validator = Validator.load()
    known = catalog.extended(topic.resource for topic in topics)
    findings = [finding for artifact in artifacts for finding in _check_artifact(artifact, validator, known)]
    findings += [finding for topic in topics for finding in check_topic(topic, catalog, known)]
    findings += check_keys(artifacts)
    findings += check_parameters(artifacts)
    findings += check_mappings(root)
    findings += check_policies(catalog)
    terminology, broken = load_terminology(catalog)
    findings += broken
    findings += check_terminology(artifacts, terminology)
    judge, unenforceable = load_judge(catalog, terminology)
    findings += unenforceable
    examples, unreadable = read_examples(root)
    findings += unreadable
    for path, content in examples.items():
        findings += check_canonicals(path, content, known)
        findings += check_codes(path, content, terminology)
    findings += check_examples(examples, judge)
    return findings


def _check_artifact(artifact: Artifact, validator: Validator, catalog: Catalog) -> list[Finding]:
    issues = validator.validate(artifact.resource)
    found = [Finding(artifact.path, issue.key, f"{issue.expression}: {issue.diagnostics}") for issue in issues]
    if found:
        return found
    return [*check_canonicals(artifact.path, artifact.resource, catalog), *check_definition(artifact)]
