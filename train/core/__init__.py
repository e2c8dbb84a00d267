"""What every kind of training shares: experiments, runs, the trainer, the artifact."""
