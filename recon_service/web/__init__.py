"""The pages that people see: they are built from ``web/`` by `make web`, and served from here."""
