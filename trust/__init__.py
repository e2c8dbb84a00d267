"""Signatures and bills of materials, for the archiver, which makes them, and for deploy, which asks for them."""
