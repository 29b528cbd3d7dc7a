"""The use cases: each reads like its sentence. No framework, no storage technology: those come in through
ports.
"""
