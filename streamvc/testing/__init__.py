"""Test data that the project makes itself."""
