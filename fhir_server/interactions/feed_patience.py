"""A reading that waits for something to tell."""

import asyncio

from fhir_server.interactions.feed_waiting import Waiters
from fhir_server.interactions.operation import Patience, Reading
from fhir_server.interactions.request import Result
from fhir_server.store.port import Store


async def patiently(waiters: Waiters, store: Store, reading: Reading, found: Result) -> Result:
    """Do a reading that found nothing again whenever something changed for it, until it finds something or time is up."""
    patience = reading.patience or Patience(0.0, ())
    loop = asyncio.get_running_loop()
    until = loop.time() + patience.seconds
    while found.idle >= 0 and (left := until - loop.time()) > 0:
        if not await waiters.wait(patience.keys, found.idle, left):
            break
        found = await store.read_async(reading.work, heavy=reading.heavy)
    return found
