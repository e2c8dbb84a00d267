"""Shared by all kinds of training: experiments, runs, the trainer, the artifact."""
