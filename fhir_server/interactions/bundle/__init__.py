"""Batch and transaction."""
