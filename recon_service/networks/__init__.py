"""How neural networks run: small ones in numpy, with the files of their parameters, and those of two
formats by the runtimes that are made for them.
"""
