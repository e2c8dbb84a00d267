"""OpenAI's API beside TorchServe: its list of models, and without an edge the way of a call to its model."""
