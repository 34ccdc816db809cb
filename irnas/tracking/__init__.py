"""MLflow: what it should hold of a run, the mirror that brings it there, and registered models."""
