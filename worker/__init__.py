"""The Celery application and its thin tasks."""
