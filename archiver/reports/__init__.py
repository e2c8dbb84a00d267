"""Reports on the contents of an archive and on the difference of two, for people and for programs."""
