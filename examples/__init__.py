"""Training runs and data for the demonstration."""
