"""`python -m deploy tune`: the workers, threads, batch and backend that serve a model best on this machine."""
