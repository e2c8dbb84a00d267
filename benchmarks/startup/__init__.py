"""How long a worker takes to start, and what it holds in memory."""
