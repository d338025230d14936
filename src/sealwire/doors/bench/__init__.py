"""Benchmarks: each measures against a baseline in the same run and reports medians and ratios."""
