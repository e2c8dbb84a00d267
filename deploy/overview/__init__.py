"""A running server at a glance: its models, workers, queues and rates."""
