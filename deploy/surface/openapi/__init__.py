"""A server's description in OpenAPI 3.1, made of what its archives carry."""
