"""Judges a resource against R4 and against profiles."""
