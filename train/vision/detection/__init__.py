"""Object detection and instance segmentation with COCO files."""
