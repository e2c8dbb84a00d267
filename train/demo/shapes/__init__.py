"""Composed images of five shapes, for detection and segmentation."""
