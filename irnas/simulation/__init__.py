"""Searches replayed on tables of trainings: what a strategy would have paid, without training again."""
