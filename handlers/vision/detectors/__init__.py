"""Detectors that do not follow torchvision's contract: exports such as YOLO's, and folders of Hugging Face."""
