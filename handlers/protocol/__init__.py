"""What a request and its answer look like on the wire; nothing here imports torch."""
