"""The doors of Lineal: each parses a request, asks, and formats the answer."""
