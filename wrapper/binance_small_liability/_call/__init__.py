"""One call from start to end, without I/O. Start reading at `call.py`; the rest are its rules."""
