"""YAML that users write: specs of archives, experiments, settings of the edge."""
