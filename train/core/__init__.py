"""Shared by all kinds of training: experiments, runs, Lightning's Trainer, and artifacts."""
