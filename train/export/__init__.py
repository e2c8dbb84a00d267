"""Published weights as artifacts, without training."""
