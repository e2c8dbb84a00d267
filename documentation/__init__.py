"""The documentation as a site: what is written by hand in docs/, and what is read off the code."""
