"""Whether what is sent to a model, and what it answers, is still like its validation data."""
