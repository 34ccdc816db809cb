"""Ray clusters: joining one, what trials take of it, and searches that run there as jobs."""
