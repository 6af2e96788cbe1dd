"""What a running system says of itself: log lines and metrics, with fixed names."""
