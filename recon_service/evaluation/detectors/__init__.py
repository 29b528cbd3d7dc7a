"""Face detectors measured side by side: what each does to recognition, how fast, how much memory, how
steady.
"""
