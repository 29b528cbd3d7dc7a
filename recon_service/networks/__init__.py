"""Small neural networks in numpy, and the files of their parameters: what runs them everywhere without a
framework.
"""
