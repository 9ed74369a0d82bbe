"""The rest-hook channel: a POST to the endpoint of the subscriber (R4 subscription.html, Subscriptions R5 Backport).

Every call carries `Idempotency-Key`, which stays the same when it is made again, and the headers of standard-webhooks.com:
`Webhook-Id`, `Webhook-Timestamp`, and with a secret `Webhook-Signature` (HMAC-SHA-256 over id, timestamp and body). The
headers of `channel.header` are sent along.
"""

import hashlib
import hmac
from base64 import b64encode
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fhir_server.interactions.subscriptions import Subscription
from fhir_server.model.clock import Clock
from fhir_server.outbound.channel import Notification, Outcome
from fhir_server.outbound.receivers import Answer, Receivers, Unreachable

_SECONDS: Final = 10.0
"""Longest that one attempt takes, where the subscription does not say."""
_LONGEST_WAIT: Final = 86_400.0


class RestHook:
    """Delivers by HTTP."""

    def __init__(self, receivers: Receivers, clock: Clock, seconds: float = _SECONDS) -> None:
        self._receivers = receivers
        self._clock = clock
        self._seconds = seconds

    def destination(self, subscription: Subscription) -> str:
        """Return host and port of the endpoint."""
        return urlsplit(subscription.endpoint).netloc.rpartition("@")[2].lower()

    def deliver(self, subscription: Subscription, notification: Notification) -> Outcome:
        """POST the notification; PUT the resource to `endpoint/Type/id` for a plain R4 subscription with payload."""
        method, url = "POST", subscription.endpoint
        if notification.focus:
            method, url = "PUT", f"{url.rstrip('/')}/{notification.focus}"
        headers = dict(_pair(header) for header in subscription.headers)
        if notification.body:
            headers["Content-Type"] = f"{subscription.media}; charset=utf-8"
        headers |= self._marks(subscription, notification)
        try:
            answer = self._receivers.send(
                method, url, headers, notification.body, subscription.timeout or self._seconds
            )
        except Unreachable as error:
            return Outcome(delivered=False, fault=str(error), final=error.final)
        return self._judged(answer)

    def _marks(self, subscription: Subscription, notification: Notification) -> dict[str, str]:
        key = notification.key(subscription.id)
        at = str(self._clock.now_ms() // 1000)
        marks = {
            "Idempotency-Key": f'"{key}"',
            "Webhook-Id": key,
            "Webhook-Timestamp": at,
            "Delivery-Attempt": str(notification.attempt),
            "User-Agent": "fhir-server",
        }
        if notification.secret:
            marks["Webhook-Signature"] = signature(notification.secret, key, at, notification.body)
        return marks

    def _judged(self, answer: Answer) -> Outcome:
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return Outcome(delivered=True)
        if answer.status == HTTPStatus.GONE:
            return Outcome(delivered=False, fault="The receiver answered 410: it is gone for good.", final=True)
        said = f"The receiver answered {answer.status}."
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            said += " Redirects are not followed."
        return Outcome(delivered=False, fault=said, retry_after=self._wait(answer.retry_after))

    def _wait(self, text: str) -> float:
        """Read Retry-After: seconds or a date; 0 for none."""
        try:
            seconds = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - self._now()
        except (ValueError, OverflowError):
            return 0.0
        return min(max(seconds, 0.0), _LONGEST_WAIT)

    def _now(self) -> float:
        return self._clock.now_ms() / 1000


def signature(secret: bytes, key: str, at: str, body: bytes) -> str:
    """Return the `Webhook-Signature` of a body: `v1,` and the base64 of an HMAC-SHA-256."""
    digest = hmac.new(secret, f"{key}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{b64encode(digest).decode()}"


def _pair(header: str) -> tuple[str, str]:
    name, _, value = header.partition(":")
    return name.strip(), value.strip()
