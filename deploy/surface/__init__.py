"""A server's description of itself and its models, beside predictions: KServe's v2 protocol, over HTTP and gRPC."""
