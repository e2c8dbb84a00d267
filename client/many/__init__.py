"""Calls for many inputs, with limited concurrency and answers in the order of the inputs."""
