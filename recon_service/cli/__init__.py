"""The command line: the third door, for operations and for trying things out without a server."""
