"""The layer that waits and opens connections, for threads and for event loops."""
