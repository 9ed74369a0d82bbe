"""The kernel: values that every other layer shares. Imports nothing of this project."""
