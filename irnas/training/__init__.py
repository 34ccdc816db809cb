"""Training and validating one network: knows images, masks and a budget, and nothing of searches."""
