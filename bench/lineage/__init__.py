"""How fast are walks? Lineal's engine beside a C loop and what one can install, in one run."""
