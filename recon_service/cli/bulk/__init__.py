"""Enrolling many people at once: an index, the files that it names, a journal, and what came of it."""
