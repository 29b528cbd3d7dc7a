"""The demonstration: the real service, started for a minute, enrolled and asked over HTTP."""
