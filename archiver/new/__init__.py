"""`bundle new`: writes a spec and an artifact for existing weights."""
