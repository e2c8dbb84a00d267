"""Semantic segmentation with COCO files or label maps."""
