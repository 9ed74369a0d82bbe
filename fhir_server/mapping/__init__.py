"""Applies the structure maps of mappings/."""
