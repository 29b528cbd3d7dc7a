"""Is this the person enrolled? Kiosk sessions, lock-outs, and what is kept of visits."""
