"""What keeps the rest honest: audit log, keys, rates, objects, signatures, the clock."""
