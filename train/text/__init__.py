"""Text classification on texts of one's own."""
