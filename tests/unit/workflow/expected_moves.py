"""The legal moves, written down a second time from the sources, so that the table of the code is judged by another.

Read from the referral Task of the Gravity SDOH Clinical Care guide (checking_task_status), the Dutch generic functions
(workflow), BSeR (harmonised state transitions) and the R4 request status. R requester, O owner, C claimant of the pool,
P person, S the server itself.
"""

_EVERYONE = "ROPS"

TASK_MOVES: dict[str, dict[str, str]] = {
    "draft": {"requested": "R", "cancelled": "RPS", "entered-in-error": "RS"},
    "requested": {
        "received": "OC", "accepted": "OC", "in-progress": "OC", "rejected": "O", "cancelled": _EVERYONE,
        "entered-in-error": "RS",
    },
    "received": {
        "accepted": "O", "in-progress": "O", "rejected": "O", "cancelled": _EVERYONE, "entered-in-error": "RS",
    },
    "ready": {"in-progress": "O", "cancelled": _EVERYONE, "entered-in-error": "RS"},
    "accepted": {
        "in-progress": "O", "on-hold": "OS", "completed": "OS", "failed": "O", "cancelled": _EVERYONE,
        "entered-in-error": "RS",
    },
    "in-progress": {
        "on-hold": "OS", "completed": "OS", "failed": "O", "cancelled": _EVERYONE, "entered-in-error": "RS",
    },
    "on-hold": {
        "in-progress": "O", "completed": "OS", "failed": "O", "cancelled": _EVERYONE, "entered-in-error": "RS",
    },
    "rejected": {"entered-in-error": "RS"},
    "completed": {"entered-in-error": "RS"},
    "cancelled": {"entered-in-error": "RS"},
    "failed": {"entered-in-error": "RS"},
    "entered-in-error": {},
}  # fmt: skip

REQUEST_MOVES: dict[str, dict[str, str]] = {
    "draft": {"active": "RS", "revoked": "RPS", "entered-in-error": "RS"},
    "active": {"on-hold": "R", "revoked": "RPS", "completed": "S", "entered-in-error": "RS"},
    "on-hold": {"active": "R", "revoked": "RPS", "completed": "S", "entered-in-error": "RS"},
    "unknown": {"active": "R", "revoked": "RP", "entered-in-error": "RS"},
    "revoked": {"entered-in-error": "RS"},
    "completed": {"entered-in-error": "RS"},
    "entered-in-error": {},
}

LETTERS = {"R": "requester", "O": "owner", "C": "claimant", "P": "person", "S": "platform"}
