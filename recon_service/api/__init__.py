"""The HTTP door: one router per noun, problems for every error, and the service's life from start to stop."""
