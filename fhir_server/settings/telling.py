"""What can be set of polling, websockets, e-mail and the scheduler: how others learn of changes."""

from dataclasses import dataclass

from fhir_server.settings.declaring import setting


@dataclass(frozen=True, slots=True)
class TellingSettings:
    """The part of the settings that is about telling others."""

    longest_wait: float = setting(
        30.0, "Longest that `$changes` holds an answer while nothing happens, in seconds.", minimum=0, maximum=300
    )
    poll_advice_seconds: int = setting(
        900,
        "How long a poller should wait between two searches, told as `Cache-Control: max-age` of `/metadata`-advertised "
        "polling advice and used by `poll_limit`.",
        minimum=1,
    )
