"""The traced step compiled."""
