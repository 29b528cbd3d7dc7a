"""The worker: Celery application, thin tasks, and the child processes that do the heavy work."""
