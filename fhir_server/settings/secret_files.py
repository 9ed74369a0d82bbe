"""Files that hold a secret of this server, made at first use."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def create_secret(path: Path) -> None:
    """Make a file with 32 random bytes, readable by its owner only; leave an existing one alone."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as handle:
        handle.write(secrets.token_hex(32) + "\n")
    with suppress(FileExistsError):  # another process was first: its key counts
        path.hardlink_to(draft)
    draft.unlink()
