"""What follows from what was said: rules that conclude edges, and things that are the same."""
