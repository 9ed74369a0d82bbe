"""Who is calling, and who may see and do what.

Getting in: `clients`, `assertions` and `tokens` for systems, `issuers`, `sign_in`, `accounts` and `sessions` for people, with
`jose` and `keys` beneath; `trail` notes it. Each becomes a `principal`, which `scopes` bound. What it may see: `policies`, read
from policies.json, as conditions of the query tree, and `guarded*`, through which everything is read. `glass` is the emergency.
"""
