"""The base of every kind of training: experiments, runs, the trainer, the artifact."""
