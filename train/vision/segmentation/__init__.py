"""Semantic segmentation on COCO files and label maps."""
