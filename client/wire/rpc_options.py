"""Options of gRPC channels."""

MESSAGE_BYTES = 64 << 20
OPTIONS = [
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # TorchServe's gRPC library closes connections that are pinged more often than every 5 minutes.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A restarted server is back within seconds; the default backoff goes up to two minutes.
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),  # the environment's proxies must not see the server's key
]
