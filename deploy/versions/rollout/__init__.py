"""A new version takes over step by step, or is taken back, by evidence."""
