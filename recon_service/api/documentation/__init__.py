"""The documentation of the API, in which calls can be tried: Swagger UI, served by the service itself."""
