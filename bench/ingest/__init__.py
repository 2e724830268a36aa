"""How fast is what changed known? The write path from a door to a committed fact, measured."""
