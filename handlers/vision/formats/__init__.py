"""Image formats, one a file: what a header says before anything is decoded, and how the pixels are decoded."""
