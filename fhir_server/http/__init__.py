"""The HTTP adapter, the only room that knows FastAPI."""
