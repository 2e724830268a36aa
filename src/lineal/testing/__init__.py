"""What tests and demonstrations run against; nothing here is needed to run Lineal."""
