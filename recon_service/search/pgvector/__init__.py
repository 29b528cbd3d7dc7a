"""The index in PostgreSQL with the extension pgvector: one vector per active template and kind of probe.

The vectors say of a face what the posterior mean says, and they are not encrypted: a server can only search
what it can read. They are turned by a matrix that the vault's secret gives, which hides the axes and not the
distances. Who may read the database may tell from them who looks like whom (docs/adr/0139).
"""
