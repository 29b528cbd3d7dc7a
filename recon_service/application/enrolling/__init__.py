"""Selfies come in, wait their turn and become a template; consents and duplicates go along."""
