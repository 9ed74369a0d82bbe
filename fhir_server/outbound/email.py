"""The e-mail channel: that there is news and where to read it, never what it says of a person.

The endpoint is `mailto:` with one address. A notification with id-only content names the places of what changed, but not
of persons; whatever the subscription asks, nothing else of a resource goes into a message. A message that is sent again
has the same Message-ID, so that a mailbox can tell.
"""

import hashlib
import json
import re
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from functools import cache
from importlib.resources import files
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import structlog

from fhir_server.interactions.subscriptions import Subscription
from fhir_server.model.clock import Clock
from fhir_server.model.codec import decode_stored
from fhir_server.outbound.channel import Notification, Outcome

Security = Literal["starttls", "tls", "none"]
Texts = Mapping[str, Mapping[str, str]]

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
_PERSONS: Final = frozenset({"Patient", "RelatedPerson", "Person"})
_MOST_PLACES: Final = 50
_REFUSED_FROM: Final = 500
"""SMTP replies from here on are final (RFC 5321 §4.2.1)."""
_log = structlog.get_logger("fhir_server.email")


class Smtp(NamedTuple):
    """How mail leaves; see the settings of these names."""

    host: str
    port: int
    security: Security
    user: str
    password: str
    sender: str
    ca_file: str = ""
    seconds: float = 10.0


class Mail:
    """A `Channel` that sends mail."""

    def __init__(self, smtp: Smtp, clock: Clock, public_base: str, language: str) -> None:
        """`language` is that of a subscription that asks for none by `channel.header` (Accept-Language)."""
        self._smtp = smtp
        self._clock = clock
        self._public_base = public_base
        self._language = language

    def destination(self, subscription: Subscription) -> str:
        """Return the domain of the address."""
        return f"mailto:{(address_of(subscription.endpoint) or '').rpartition('@')[2].lower()}"

    def deliver(self, subscription: Subscription, notification: Notification) -> Outcome:
        """Send one message."""
        address = address_of(subscription.endpoint)
        if address is None:
            return Outcome(delivered=False, fault="The endpoint is no mailto: with one e-mail address.", final=True)
        message = self.message(subscription, notification, address)
        try:
            with self._connected() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(min(code for code, _ in error.recipients.values()), "The mail server refuses the address")
        except smtplib.SMTPAuthenticationError:
            _log.error("the mail server refuses our user")
            return Outcome(delivered=False, fault="The mail server does not let this server in.")
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, "The mail server refuses the message")
        except (
            smtplib.SMTPException,
            OSError,
        ) as error:  # SMTPNotSupportedError: never without the TLS that was asked for
            return Outcome(delivered=False, fault=f"The mail server cannot be used now ({type(error).__name__}).")
        return Outcome(delivered=True)

    def message(self, subscription: Subscription, notification: Notification, address: str) -> EmailMessage:
        """Compose a message: what is the same for all, the number of events, and the places that may be named."""
        language = self._language_of(subscription)
        texts = _texts()[language]
        sender = self._smtp.sender
        made = EmailMessage()
        made["From"], made["To"], made["Subject"] = sender, address, texts["subject"]
        made["Date"] = formatdate(self._clock.now_ms() / 1000)
        made["Message-ID"] = f"<{_identity(subscription, notification)}@{sender.rpartition('@')[2].strip('<> ')}>"
        made["Auto-Submitted"] = "auto-generated"
        made.set_content(self._body(subscription, notification, texts))
        made["Content-Language"] = language
        return made

    def _body(self, subscription: Subscription, notification: Notification, texts: Mapping[str, str]) -> str:
        place = self._public_base.rsplit("/", 1)[0] + "/"
        count = notification.last - notification.first + 1
        if notification.type != "event-notification":
            paragraphs = [texts["heartbeat"]]
        else:
            paragraphs = [texts["one"] if count == 1 else texts["many"].format(count=count)]
            if subscription.content == "id-only" and (places := _places(notification.body)):
                paragraphs.append("\n".join((texts["places"], *places)))
        paragraphs += [texts["where"].format(place=place), texts["footer"]]
        return "\n\n".join(paragraphs) + "\n"

    def _language_of(self, subscription: Subscription) -> str:
        for header in subscription.headers:
            name, _, value = header.partition(":")
            if name.strip().lower() == "accept-language":
                for part in value.split(","):
                    asked = part.partition(";")[0].strip().lower()[:2]
                    if asked in _texts():
                        return asked
        return self._language

    def _connected(self) -> smtplib.SMTP:
        smtp = self._smtp
        context = ssl.create_default_context(cafile=smtp.ca_file or None)
        own = smtp.sender.rpartition("@")[2]  # else the library looks its own name up, which may take seconds
        if smtp.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(smtp.host, smtp.port, own, timeout=smtp.seconds, context=context)
        else:
            server = smtplib.SMTP(smtp.host, smtp.port, own, timeout=smtp.seconds)
        try:
            if smtp.security == "starttls":
                server.starttls(context=context)
            if smtp.user:
                server.login(smtp.user, smtp.password)
        except BaseException:
            server.close()
            raise
        return server


def address_of(endpoint: str) -> str | None:
    """Return the one address of a `mailto:` endpoint, None when it is none."""
    parts = urlsplit(endpoint)
    address = unquote(parts.path)
    if parts.scheme != "mailto" or parts.query or _ADDRESS.fullmatch(address) is None:
        return None
    return address


@cache
def _texts() -> Texts:
    texts: Texts = json.loads(files(__package__).joinpath("email_texts.json").read_bytes())
    return texts


def _identity(subscription: Subscription, notification: Notification) -> str:
    """Return what is the same for each attempt; a heartbeat is a new one each time."""
    key = notification.key(subscription.id)
    if notification.type != "event-notification":
        key += f"-{notification.at}-{hashlib.sha256(notification.body).hexdigest()}"
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def _places(body: bytes) -> list[str]:
    """Return the URLs of what a notification is about, persons left out."""
    if not body:
        return []
    status = decode_stored(body)["entry"][0]["resource"]
    found = []
    for one in status.get("parameter", ()):
        for part in one.get("part", ()) if one.get("name") == "notification-event" else ():
            reference = part.get("valueReference", {}).get("reference", "")
            if part.get("name") == "focus" and reference.rsplit("/", 2)[-2:-1] not in ([name] for name in _PERSONS):
                found.append(reference)
    return list(dict.fromkeys(found))[:_MOST_PLACES]


def _refused(code: int, said: str) -> Outcome:
    return Outcome(delivered=False, fault=f"{said} ({code}).", final=code >= _REFUSED_FROM)
