"""Code that runs inside a TorchServe worker: request → decode → batch → model → encode → response.

The whole folder travels in every archive, so it imports nothing else of this project.
"""
