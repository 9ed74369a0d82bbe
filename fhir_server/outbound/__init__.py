"""What leaves the server, and what it does by itself.

`dispatcher` numbers events for whom they concern (`roster`), `deliveries` tells them over a channel (`rest_hook`, `email`) with
patience (`backoff`); `scheduler` runs the `jobs` whose time has come; `fetch`, `jwks` and `providers` ask others for their keys.
Of the processes on a store one does it, by a `lease`.
"""
