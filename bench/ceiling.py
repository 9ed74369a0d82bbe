"""The ceiling: the same bytes and headers from a bare ASGI callable, under the same server with the same settings.

Runs as `python -m bench.ceiling PORT ANSWERS`; ANSWERS is a JSON file of path → [status, headers, body as Latin-1]. The settings
of uvicorn are those of `fhir-server serve`.
"""

import gc
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Any, Send], Awaitable[None]]


def bare(answers: dict[str, list[Any]]) -> Application:
    """Return an application that sends ready answers."""
    ready = {}
    for path, (status, headers, body) in answers.items():
        pairs = [(name.encode(), value.encode()) for name, value in headers]
        start = {"type": "http.response.start", "status": status, "headers": pairs}
        ready[path] = (start, {"type": "http.response.body", "body": body.encode("latin-1")})

    async def application(scope: dict[str, Any], receive: Any, send: Send) -> None:  # noqa: ARG001  # the ASGI signature
        start, body = ready[scope["path"]]
        await send(start)
        await send(body)

    return application


def main() -> None:
    port, answers = int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="ascii"))
    configuration = uvicorn.Config(
        bare(answers),
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        lifespan="off",
    )
    gc.collect()
    gc.freeze()
    uvicorn.Server(configuration).run()


if __name__ == "__main__":
    main()
