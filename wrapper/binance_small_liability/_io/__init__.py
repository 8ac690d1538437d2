"""What sleeps, opens connections, and knows threads from event loops."""
