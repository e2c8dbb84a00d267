"""Policies of reinforcement learning."""
