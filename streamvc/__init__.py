"""Watches live video and says what people are doing, as it happens."""
