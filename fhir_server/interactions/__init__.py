"""What the server does when it is asked: one module per FHIR interaction, each prepares, opens a unit of work, asks, commits.

`table` lists every interaction, `routing` finds the one that is meant, `perform` runs it with the collaborators of `context`.
`write` and `unit` are the one way in which anything is stored, `bundle` does many requests as one, `operations` has one
module per operation. What several interactions share goes by the first word of its name:

- `search_*` a search: `search` runs one, `search_lookups` reads one with all that it must look up before, `conditional` makes
  one a condition, `conditional_search` tells that an answer is still the same, `include_pages` pages what came along;
- `feed_*` the sequence of changes, and who waits for the next; `subscriptions_*` who is told, and of what;
- `audit_*` the trail of accesses; `erasure` and `retention` what goes, and when;
- `patch_*`, `json_patch`, `fhirpath_patch` the two languages of a patch;
- `stamps_*`, `stamping`, `guarding` what the policies tell by who may see a resource;
- `offers`, `offer_*`, `directory_*` the directory of services, in memory and imported;
- `stored_terminology`, `loaded_terminology` the code systems and value sets of the store.
"""
