"""Tasks on images."""

import handlers.vision.lean_torchvision  # noqa: F401 - before a module here imports torchvision itself
