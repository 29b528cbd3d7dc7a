"""Where things are kept: SQL tables, an object store, and the encryption of both."""
