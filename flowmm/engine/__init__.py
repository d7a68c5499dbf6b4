"""Executing graphs: programs, runs, runtimes and their workers."""
