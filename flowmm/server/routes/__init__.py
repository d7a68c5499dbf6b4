"""The HTTP routes, a module for each thing they are about."""
