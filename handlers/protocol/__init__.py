"""The forms of requests and responses; nothing here imports torch."""
