"""Stores: the port (protocols and value types) and its adapters."""
