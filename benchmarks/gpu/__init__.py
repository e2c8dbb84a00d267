"""What a GPU can do at most, and what is served of it."""
