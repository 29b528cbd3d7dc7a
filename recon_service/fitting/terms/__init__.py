"""One file per kind of evidence: its residual, and the derivative of its prediction."""
