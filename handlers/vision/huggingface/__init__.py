"""Vision models of Hugging Face folders: their image processors and outputs."""
