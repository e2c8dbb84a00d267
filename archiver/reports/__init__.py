"""Reports on the contents of an archive and on the differences between two, for people and for programs."""
