"""The console: pages for operations staff, made on the server, without a build step."""
