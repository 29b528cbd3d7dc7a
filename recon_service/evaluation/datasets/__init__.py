"""Adapters: one file per kind of dataset, each with a function that returns a ``Dataset``."""
