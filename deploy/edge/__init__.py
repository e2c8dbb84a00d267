"""Envoy before the servers: one TLS port for REST and gRPC, with keys, rates, retries and readiness."""
