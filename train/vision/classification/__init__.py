"""Image classification on a data set of one's own."""
