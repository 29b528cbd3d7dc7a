"""The words of the service: values without any framework. Only numpy and the standard library are imported
here.
"""
