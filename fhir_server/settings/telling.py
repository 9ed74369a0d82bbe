"""What can be set of polling, websockets, e-mail and the scheduler: how others learn of changes."""

from dataclasses import dataclass
from typing import Literal

from fhir_server.settings.declaring import setting


@dataclass(frozen=True, slots=True)
class TellingSettings:
    """The part of the settings that is about telling others."""

    longest_wait: float = setting(
        30.0, "Longest that `$changes` holds an answer while nothing happens, in seconds.", minimum=0, maximum=300
    )
    poll_interval_seconds: int = setting(
        900,
        "How many seconds a poller should let pass before it asks the same search again, told as `X-Poll-Interval`; 0 tells "
        "nothing. `$changes` with `wait` and Subscriptions need no interval.",
        minimum=0,
    )
    polls_per_minute: float = setting(
        0.0,
        "How often a minute one client may ask one process the same search, history or feed before a 429; 0 is no limit.",
        minimum=0,
    )
    private_receivers: bool = setting(
        default=False,
        explanation="Let notifications go to private and loopback addresses, and by http; for networks without internet.",
    )
    delivery_seconds: float = setting(
        10.0,
        "Longest that one attempt to notify a subscriber takes, in seconds, where its subscription does not say.",
        exclusiveMinimum=0,
        maximum=60,
    )
    delivery_hours: float = setting(
        72.0,
        "How long a notification is tried again before the subscription is given up and gets the status error, in hours.",
        exclusiveMinimum=0,
    )
    delivery_ca_file: str = setting(
        "", "PEM file with the certificates that receivers' certificates are checked by; empty takes the public ones."
    )
    event_days: int = setting(
        30, "How long the events of subscriptions can be asked for again with `$events`, in days.", minimum=1
    )
    smtp_host: str = setting("", "Mail server for Subscriptions with the channel `email`; empty offers no e-mail.")
    smtp_port: int = setting(587, "Port of the mail server.", minimum=1, maximum=65535)
    smtp_security: Literal["starttls", "tls", "none"] = setting(
        "starttls",
        "How mail travels: `starttls`, `tls` from the first byte (port 465), or `none` for a mail server on this machine.",
        enum=["starttls", "tls", "none"],
    )
    smtp_user: str = setting("", "User at the mail server; empty sends without signing in.")
    smtp_password: str = setting("", "Password at the mail server.", secret=True)
    smtp_ca_file: str = setting(
        "", "PEM file of the authority that vouches for the mail server; empty is the system's."
    )
    mail_from: str = setting(
        "", "Address that mail comes from; needed with `smtp_host`.", pattern="^$|^[^@\\s]+@[^@\\s]+$"
    )
    mail_language: Literal["nl", "fr", "en", "de"] = setting(
        "nl", "Language of a mail to who asks for none.", enum=["nl", "fr", "en", "de"]
    )
    run_jobs: bool = setting(
        default=True,
        explanation="Let this process run what is due by itself (deadlines, ended subscriptions, forgotten records), when no other "
        "process of the same store does.",
    )
    escalate_overdue: bool = setting(
        default=False,
        explanation="Give the contact point of the person's area a Task when an organisation is late in contacting the person. The Consent that "
        "`$refer` makes covers this then; whoever refers tells the person so (docs/closed-loop.md).",
    )
