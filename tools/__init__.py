"""The programs that make runs, and what they share with the tests."""
