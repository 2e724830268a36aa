"""Everything that can walk, each behind the same few calls; each runs in a process of its own."""
