"""What the use cases keep and pass on: rows, states, findings. No behavior of their own."""
