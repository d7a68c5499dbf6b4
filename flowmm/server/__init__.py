"""The server: runs, graphs, files and events over HTTP, one socket and forms; never imports torch."""
