"""The embedded engine: baresip from a wheel, in worker processes of our own."""
