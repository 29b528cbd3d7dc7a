"""Templates and subjects: sealed, listed, exported, imported, deleted."""
