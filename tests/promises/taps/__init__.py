"""Taps and mappers that others wrote, run as processes against real tables."""
