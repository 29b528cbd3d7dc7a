"""Measuring comparison scores: error rates, calibration loss, and what may be learned on other people."""
