"""Object detection and instance segmentation on COCO files."""
