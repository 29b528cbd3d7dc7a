"""The documentation of the API as a page, made from the OpenAPI document by the service itself."""
