"""Evaluation sets, read and laid out for the workers that look for them."""
