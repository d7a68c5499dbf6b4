"""What people touch: graphs as callables, results, files, notebooks, progress and tables."""
