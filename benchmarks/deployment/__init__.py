"""A deployment under load: latencies at given rates, and how many replicas another rate needs."""
