"""Data → train → export. `python -m train EXPERIMENT` ends with an artifact folder that the archiver packs."""
