"""How fast, beside whom: every published number can be made again from here."""
