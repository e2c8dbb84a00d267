"""KServe's second dialect, the Open Inference Protocol: tensors as JSON or, behind it, as their bytes."""
